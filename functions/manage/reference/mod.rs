//! An OpenAPI document as one page for people: HTML and CSS, nothing that runs and nothing from elsewhere.

mod sample;
mod schema;
mod text;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::{Map, Value};

use sample::{curl, pretty, sample};
use text::{markdown, str_of};

/// The whole page. `style` is put in as it is.
pub(crate) fn page(api: &Value, style: &str) -> Markup {
    let groups = groups(api);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title(api)) }
                style { (PreEscaped(style)) }
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                nav aria-label="Operations" { (navigation(api, &groups)) }
                main #content {
                    (introduction(api))
                    @for group in &groups {
                        (section(api, group))
                    }
                    (schemas(api))
                }
            }
        }
    }
}

/// The operations of one tag.
struct Group<'a> {
    name: &'a str,
    about: &'a str,
    operations: Vec<Operation<'a>>,
}

/// An operation and where it stands.
pub(crate) struct Operation<'a> {
    pub(crate) method: String,
    pub(crate) path: &'a str,
    pub(crate) value: &'a Value,
}

impl Operation<'_> {
    fn id(&self) -> &str {
        str_of(self.value, "/operationId")
    }

    /// What the operation asks for beside its body.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = &Value> {
        self.value["parameters"].as_array().into_iter().flatten()
    }

    /// The kinds of bodies that it takes, and the schema of all of them.
    pub(crate) fn body(&self) -> Option<(Vec<&str>, &Value)> {
        let content = self.value.pointer("/requestBody/content")?.as_object()?;
        let schema = &content.values().next()?["schema"];
        Some((content.keys().map(String::as_str).collect(), schema))
    }
}

fn title(api: &Value) -> String {
    format!("{} API reference", str_of(api, "/info/title"))
}

fn members<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value
        .pointer(pointer)
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(Map::iter)
}

fn groups(api: &Value) -> Vec<Group<'_>> {
    let tags = api["tags"].as_array().into_iter().flatten();
    tags.map(|tag| {
        let name = str_of(tag, "/name");
        let operations = members(api, "/paths").flat_map(|(path, item)| {
            members(item, "").map(move |(method, value)| Operation {
                method: method.to_uppercase(),
                path,
                value,
            })
        });
        Group {
            name,
            about: str_of(tag, "/description"),
            operations: operations.filter(|one| one.value["tags"][0] == name).collect(),
        }
    })
    .collect()
}

fn navigation(api: &Value, groups: &[Group<'_>]) -> Markup {
    html! {
        p.title { a href="#content" { (title(api)) } }
        @for group in groups {
            h2 { a href=(format!("#{}", anchor(group.name))) { (group.name) } }
            ul {
                @for operation in &group.operations {
                    li { a href=(format!("#{}", operation.id())) {
                        span.method.(operation.method.to_lowercase()) { (operation.method) } " " (operation.path)
                    } }
                }
            }
        }
        h2 { a href="#schemas" { "Schemas" } }
    }
}

fn anchor(name: &str) -> String {
    name.to_lowercase().replace(' ', "-")
}

fn introduction(api: &Value) -> Markup {
    html! {
        header {
            h1 { (title(api)) }
            p.version {
                "Version " (str_of(api, "/info/version")) " · " (str_of(api, "/info/license/name")) " · "
                a href="/openapi.json" { "OpenAPI " (str_of(api, "/openapi")) }
            }
            (markdown(str_of(api, "/info/description")))
            @for (_, scheme) in members(api, "/components/securitySchemes") {
                (markdown(str_of(scheme, "/description")))
            }
            p { "In the examples " code { "$HOOKLINE" } " is the origin of your hub, and " code { "$KEY" } " a key." }
        }
    }
}

fn section(api: &Value, group: &Group<'_>) -> Markup {
    html! {
        section.group {
            h2 #(anchor(group.name)) { (group.name) }
            (markdown(group.about))
            @for operation in &group.operations {
                (describe(api, operation))
            }
        }
    }
}

fn describe(api: &Value, operation: &Operation<'_>) -> Markup {
    let parameters: Vec<&Value> = operation.parameters().collect();
    html! {
        article #(operation.id()) {
            h3 { a href=(format!("#{}", operation.id())) { (str_of(operation.value, "/summary").trim_end_matches('.')) } }
            p.route { span.method.(operation.method.to_lowercase()) { (operation.method) } " " code { (operation.path) } }
            (markdown(str_of(operation.value, "/description")))
            @if !parameters.is_empty() {
                h4 { "Parameters" }
                (schema::parameters(&parameters))
            }
            @if let Some((types, body)) = operation.body() {
                h4 { "Body" }
                p { (schema::kind(body)) ", as " (text::codes(types, " or ")) "." }
                @if let Some(object) = schema::resolve(api, body) {
                    (schema::fields(object))
                }
            }
            h4 { "Example" }
            pre { code { (curl(api, operation)) } }
            h4 { "Answers" }
            (answers(api, operation))
        }
    }
}

fn answers(api: &Value, operation: &Operation<'_>) -> Markup {
    html! {
        dl.answers {
            @for (status, answer) in members(operation.value, "/responses") {
                @let answer = schema::resolve(api, answer).unwrap_or(answer);
                @let content = members(answer, "/content").next();
                dt { code.status.(format!("s{}", &status[..1])) { (status) } }
                dd {
                    (markdown(str_of(answer, "/description")))
                    // All problems have one form, of which the introduction speaks.
                    @if let Some((kind, content)) = content && status.starts_with('2') {
                        p { (schema::kind(&content["schema"])) ", as " code { (kind) } "." }
                        @if kind.ends_with("json") {
                            pre { code { (pretty(&sample(api, &content["schema"]))) } }
                        }
                    }
                    @for (name, header) in members(answer, "/headers") {
                        p { "Header " code { (name) } ": " (text::inline(str_of(header, "/description"))) }
                    }
                }
            }
        }
    }
}

fn schemas(api: &Value) -> Markup {
    html! {
        section.group {
            h2 #schemas { "Schemas" }
            @for (name, value) in members(api, "/components/schemas") {
                article #(schema::anchor(name)) {
                    h3 { a href=(format!("#{}", schema::anchor(name))) { (name) } }
                    (markdown(str_of(value, "/description")))
                    (schema::body(value))
                }
            }
        }
    }
}
