//! `key`: one more admin key.

use std::io::Write;
use std::path::Path;

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::files::Credentials;
use super::operate::{invoke, open};
use super::{CliError, KeyArgs};
use crate::template::Template;

pub(super) async fn run(arguments: &KeyArgs, folder: &Path, out: &mut (impl Write + Send)) -> Result<(), CliError> {
    let known = Credentials::read(folder)?;
    let organization = arguments
        .organization
        .clone()
        .or_else(|| known.as_ref().map(|known| known.organization.clone()));
    let Some(organization) = organization else {
        return Err(CliError::Failed(format!(
            "{} does not say which organization: name it with --organization org_…, or start the hub once to make one",
            folder.display()
        )));
    };
    let template = Template::bundled()?;
    let engine = open(folder, &template).await?;
    let command = json!({"action": "createAdminKey", "organization": organization, "name": arguments.name});
    let made = invoke(&engine, &template, folder, command).await;
    engine.close().await;
    let key = made?
        .get("adminKey")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    writeln!(out, "A new admin key of {organization}:\n\n  {key}\n")?;
    if let Some(mut known) = known.filter(|known| known.organization == organization)
        && known.admin_key.expose_secret() != key
    {
        known.admin_key = key.into();
        known.write(folder)?;
        writeln!(out, "`send` uses it from now on. The earlier keys stay valid.")?;
    }
    Ok(())
}
