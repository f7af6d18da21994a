// The receive step as one would write it in JavaScript: looks up the ingest token, checks the head, stores the request, answers.
// Measured beside `receive` by tests/scripts/cold_start.py; never deployed.
import { createHash, randomUUID } from "node:crypto";
import { DynamoDBClient, GetItemCommand, PutItemCommand } from "@aws-sdk/client-dynamodb";

const dynamodb = new DynamoDBClient({});

const answer = (statusCode, body) => ({
  statusCode,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
});

export async function handler(event) {
  const token = event.pathParameters.token;
  const door = "tok#" + createHash("sha256").update(token).digest("hex");
  const { Item: found } = await dynamodb.send(
    new GetItemCommand({ TableName: process.env.SOURCES_TABLE, Key: { id: { S: door } } }),
  );
  if (!found) return answer(404, { title: "no such receiving URL" });
  const headers = Object.fromEntries(Object.entries(event.headers).map(([name, value]) => [name.toLowerCase(), value]));
  for (const { S: required } of found.requiredHeaders.L) {
    if (!headers[required]) return answer(400, { title: `the header ${required} is missing` });
  }
  const receipt = `rcp_${randomUUID()}`;
  await dynamodb.send(
    new PutItemCommand({
      TableName: process.env.INBOX_TABLE,
      Item: {
        id: { S: receipt },
        organization: found.tenant,
        source: found.source,
        headers: { S: JSON.stringify(headers) },
        body: { B: Buffer.from(event.body ?? "", event.isBase64Encoded ? "base64" : "utf8") },
        ttl: { N: String(Math.floor(Date.now() / 1000) + 7 * 86400) },
      },
      ConditionExpression: "attribute_not_exists(id)",
    }),
  );
  return answer(202, { id: receipt });
}
