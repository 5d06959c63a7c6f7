// Asks through OpenAI's client for Node: reads one JSON of {baseURL, apiKey, calls} on stdin and
// prints what came of each call. A call is {path: ["chat", "completions"], args: {...}}; one whose
// args say `stream` gives its events.
const OpenAI = require("openai");

async function outcome(client, { path, args }) {
  const place = path.reduce((place, name) => place[name], client);
  try {
    const answer = await place.create(args);
    if (!args.stream) return { answer };
    const events = [];
    for await (const event of answer) events.push(event);
    return { events };
  } catch (error) {
    const { status, code, type, param } = error;
    return { error: { name: error.constructor.name, status, code, type, param, message: error.message } };
  }
}

async function main() {
  let text = "";
  for await (const part of process.stdin) text += part;
  const { baseURL, apiKey, calls } = JSON.parse(text);
  const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
  const models = [];
  for await (const model of client.models.list()) models.push(model.id);
  const outcomes = [];
  for (const call of calls) outcomes.push(await outcome(client, call));
  process.stdout.write(JSON.stringify({ models, outcomes }));
}

main();
