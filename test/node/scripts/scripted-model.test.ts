import { afterEach, expect, it } from "vitest";
import { SCRIPT_ENDED, startScriptedModel, type Script, type ScriptedModel } from "#harness/claude/scripted-model.ts";

const running: ScriptedModel[] = [];

afterEach(async () => {
  for (const model of running.splice(0)) await model.close();
});

async function play(script: Script): Promise<ScriptedModel> {
  const model = await startScriptedModel(script);
  running.push(model);
  return model;
}

const BLOCK_EVENTS = ["content_block_start", "content_block_delta", "content_block_stop"];
const TOOLS = [{ name: "Bash", input_schema: { type: "object" } }];

function post(model: ScriptedModel, body: object, path = "/v1/messages?beta=true"): Promise<Response> {
  return fetch(`${model.url}${path}`, { method: "POST", body: JSON.stringify(body) });
}

function say(model: ScriptedModel, text: string, more: object = {}): Promise<Response> {
  return post(model, { model: "m", tools: TOOLS, messages: [{ role: "user", content: text }], ...more });
}

async function textOf(response: Response): Promise<string> {
  const reply = (await response.json()) as { content: { text?: string }[] };
  return reply.content.map(({ text }) => text ?? "").join("");
}

it("plays the steps in order, then says that the script has ended", async () => {
  const model = await play({ threads: [{ steps: [{ text: "one" }, { text: "two" }] }] });
  const texts = [];
  for (let i = 0; i < 4; i++) texts.push(await textOf(await say(model, "go on")));
  expect(texts).toEqual(["one", "two", SCRIPT_ENDED, SCRIPT_ENDED]);
});

it("gives tool calls ids of their own and the usage of the step", async () => {
  const call = { name: "Bash", input: { command: "ls" } };
  const model = await play({
    threads: [{ steps: [{ text: "look", tools: [call, call], usage: { input_tokens: 7 } }] }],
  });
  const reply = (await (await say(model, "x")).json()) as { content: { id?: string }[]; usage: object };
  expect(reply).toMatchObject({
    model: "m",
    stop_reason: "tool_use",
    usage: { input_tokens: 7, output_tokens: 20 },
    content: [
      { type: "text", text: "look" },
      { type: "tool_use", ...call },
      { type: "tool_use", ...call },
    ],
  });
  expect(reply.content[1]?.id).not.toBe(reply.content[2]?.id);
});

it("streams a reply as the server-sent events of the Messages API", async () => {
  const tools = [{ name: "Bash", input: { command: "ls" } }];
  const model = await play({ threads: [{ steps: [{ text: "look", tools }] }] });
  const response = await say(model, "x", { stream: true });
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  const events = (await response.text())
    .split("\n\n")
    .filter((event) => event !== "")
    .map((event) => JSON.parse(event.slice(event.indexOf("data: ") + 6)) as { type: string; delta?: unknown });
  expect(events.map(({ type }) => type)).toEqual([
    "message_start",
    ...BLOCK_EVENTS,
    ...BLOCK_EVENTS,
    "message_delta",
    "message_stop",
  ]);
  expect(events[2]?.delta).toEqual({ type: "text_delta", text: "look" });
  expect(events[5]?.delta).toEqual({ type: "input_json_delta", partial_json: '{"command":"ls"}' });
  expect(events[7]?.delta).toMatchObject({ stop_reason: "tool_use" });
});

it("answers with an API error as often as the step says", async () => {
  const error = { status: 529, type: "overloaded_error", message: "Overloaded" };
  const model = await play({ threads: [{ steps: [{ error, times: 2 }, { text: "fine" }] }] });
  const first = await say(model, "x");
  expect(first.status).toBe(529);
  expect(await first.json()).toEqual({ type: "error", error: { type: error.type, message: error.message } });
  expect((await say(model, "x")).status).toBe(529);
  expect(await textOf(await say(model, "x"))).toBe("fine");
});

it("holds a request until the test releases it", async () => {
  const model = await play({ threads: [{ steps: [{ hold: "gate", text: "late" }, { text: "next" }] }] });
  let isAnswered = false;
  const held = say(model, "x").finally(() => (isAnswered = true));
  await model.held("gate");
  expect(await textOf(await say(model, "y"))).toBe("next");
  expect(isAnswered).toBe(false);
  model.release("gate");
  expect(await textOf(await held)).toBe("late");
});

it("closes although a request is still held", async () => {
  const model = await startScriptedModel({ threads: [{ steps: [{ hold: "never" }] }] });
  const held = say(model, "x").catch(() => "cut");
  await model.held("never");
  await model.close();
  expect(await held).toBeDefined();
  await expect(say(model, "y")).rejects.toThrow("fetch failed");
});

it("keeps several conversations apart by a text in them", async () => {
  const model = await play({
    threads: [
      { match: "apple", steps: [{ text: "a1" }, { text: "a2" }] },
      { match: "pear", steps: [{ text: "p1" }] },
    ],
  });
  expect(await textOf(await say(model, "an apple"))).toBe("a1");
  expect(await textOf(await say(model, "a pear"))).toBe("p1");
  const toolResult = { role: "user", content: [{ type: "tool_result", content: [{ type: "text", text: "apple" }] }] };
  expect(await textOf(await post(model, { model: "m", tools: TOOLS, messages: [toolResult] }))).toBe("a2");
  const call = {
    role: "assistant",
    content: [{ type: "tool_use", id: "t", name: "Agent", input: { prompt: "apple" } }],
  };
  expect(await textOf(await post(model, { model: "m", tools: TOOLS, messages: [call] }))).toContain("No thread");
  expect(await textOf(await say(model, "a plum"))).toContain("No thread");
});

it("answers side requests and summaries without taking a step", async () => {
  const model = await play({ summary: "short", threads: [{ steps: [{ text: "one" }] }] });
  expect(await textOf(await say(model, "x", { tools: [] }))).toBe("ok");
  expect(await textOf(await say(model, "Your task is to create a detailed summary of the conversation so far"))).toBe(
    "short",
  );
  expect(await textOf(await say(model, "x"))).toBe("one");
  expect(model.requests.map(({ kind }) => kind)).toEqual(["aside", "summary", "loop"]);
});

it("counts tokens, and refuses what it does not know", async () => {
  const model = await play({ threads: [] });
  const counted = await post(
    model,
    { messages: [{ role: "user", content: "x" }] },
    "/v1/messages/count_tokens?beta=true",
  );
  expect(await counted.json()).toEqual({ input_tokens: 11 });
  expect((await fetch(`${model.url}/v1/models`)).status).toBe(404);
  expect((await fetch(`${model.url}/v1/messages`, { method: "POST", body: "[1]" })).status).toBe(404);
  expect((await fetch(`${model.url}/v1/messages`, { method: "POST", body: "{" })).status).toBe(404);
  expect(model.requests.map(({ kind }) => kind)).toEqual(["count", "unknown", "unknown", "unknown"]);
});

it("keeps what was asked: roles and texts of every message", async () => {
  const model = await play({ threads: [] });
  const image = { type: "image", source: "s" };
  await post(model, {
    model: "m",
    tools: TOOLS,
    messages: [
      { role: "user", content: [{ type: "text", text: "a" }, image] },
      { role: "system", content: "b" },
      { role: "user" },
    ],
  });
  await post(model, { model: "m", tools: TOOLS });
  expect(model.requests[0]?.messages).toEqual([
    { role: "user", text: `a\n${JSON.stringify(image)}` },
    { role: "system", text: "b" },
    { role: "user", text: "" },
  ]);
  expect(model.requests[1]).toMatchObject({ kind: "loop", messages: [] });
});

const call = { name: "mcp__shim__brief", input: { of: "x" } };

/** The answer to a request as one JSON value, and as the data of its events. */
async function answers(path: string, streamPath: string, body: object): Promise<{ whole: unknown; events: unknown[] }> {
  const model = await play({ threads: [{ match: "hello", steps: () => ({ text: "look", tools: [call] }) }] });
  const whole: unknown = await (await post(model, body, path)).json();
  const stream = await (await post(model, { ...body, stream: true }, streamPath)).text();
  const data = stream.split("\n").filter((line) => line.startsWith("data: {"));
  expect(model.requests[0]).toMatchObject({ kind: "loop", messages: [{ role: "user", text: "hello" }] });
  return { whole, events: data.map((line) => JSON.parse(line.slice("data: ".length)) as unknown) };
}

it("speaks the Responses API, in which the tools of an MCP server have a namespace", async () => {
  const body = { model: "m", tools: [{ type: "function", name: "x" }], input: [{ role: "user", content: "hello" }] };
  const { whole, events } = await answers("/v1/responses", "/v1/responses", body);
  const output = [
    { type: "message", content: [{ text: "look" }] },
    { type: "function_call", namespace: "mcp__shim", name: "brief", arguments: '{"of":"x"}' },
  ];
  expect(whole).toMatchObject({ status: "completed", output });
  expect(events.at(-1)).toMatchObject({ type: "response.completed", response: { output } });
});

it("speaks the Responses API of the newest models, whose tools come as an item and take free text", async () => {
  const functions = { type: "namespace", name: "functions", tools: [{ type: "custom", name: "exec" }] };
  const late = { type: "additional_tools", tools: [functions] };
  const model = await play({ threads: [{ steps: [{ tools: [{ name: "exec", input: { input: "code" } }] }] }] });
  const whole: unknown = await (await post(model, { input: [late] }, "/v1/responses")).json();
  expect(whole).toMatchObject({
    output: [{ type: "custom_tool_call", namespace: "functions", name: "exec", input: "code" }],
  });
  expect(model.requests[0]?.kind).toBe("loop");
});

it("speaks Chat Completions", async () => {
  const body = { model: "m", tools: [{}], messages: [{ role: "user", content: [{ type: "text", text: "hello" }] }] };
  const { whole, events } = await answers("/v1/chat/completions", "/v1/chat/completions", body);
  const message = { content: "look", tool_calls: [{ function: { name: call.name, arguments: '{"of":"x"}' } }] };
  expect(whole).toMatchObject({ choices: [{ message, finish_reason: "tool_calls" }] });
  expect(events).toMatchObject([
    { choices: [{ delta: message }] },
    { choices: [{ finish_reason: "tool_calls" }] },
    { usage: { prompt_tokens: 1_000 } },
  ]);
});

it("speaks the Gemini API", async () => {
  const body = { tools: [{}], contents: [{ role: "user", parts: [{ text: "hello" }] }] };
  const path = "/v1beta/models/gemini-2.5-pro";
  const { whole, events } = await answers(`${path}:generateContent`, `${path}:streamGenerateContent`, body);
  const answer = {
    candidates: [{ content: { parts: [{ text: "look" }, { functionCall: { name: call.name, args: { of: "x" } } }] } }],
  };
  expect(whole).toMatchObject(answer);
  expect(events).toMatchObject([answer]);
});
