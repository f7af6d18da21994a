// cloudevents.cjs NODE_MODULES: reads messages by their names, as JSON, from standard input, as a receiver of CloudEvents does, and says of each
// what is wrong with it, or null.
const path = require("node:path");
const { HTTP } = require(path.join(process.argv[2], "cloudevents"));

const headers = { "content-type": "application/cloudevents+json" };
const verdicts = {};
for (const [name, body] of Object.entries(JSON.parse(require("node:fs").readFileSync(0, "utf8")))) {
  try {
    const event = HTTP.toEvent({ headers, body });
    // Holds it against the published schema, and throws.
    event.validate();
    const { id, data } = JSON.parse(body);
    verdicts[name] = event.id === id && event.data.id === data.id ? null : "was read as something else";
  } catch (error) {
    verdicts[name] = `${error.message} ${JSON.stringify(error.errors ?? "")}`;
  }
}
console.log(JSON.stringify(verdicts));
