import { request as httpRequest, type OutgoingHttpHeaders } from "node:http";
import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, it, onTestFinished } from "vitest";
import { lastReceivedAt } from "#src/local-mcp/telemetry/telemetry-events.ts";
import { TelemetryInput } from "#src/local-mcp/telemetry/telemetry-input.ts";
import { freePort } from "#harness/edge/free-port.ts";
import { aLiveClaude, rowCount, type Claude } from "#harness/machine/claude.ts";
import { anExport, aRequest } from "#harness/machine/otlp.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";

const token = "a-token-of-the-tests-0123456789-abcdef";

interface Sent {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string;
}

interface Rig {
  readonly runtime: TempRuntime;
  readonly claude: Claude;
  readonly port: number;
  readonly input: TelemetryInput;
  readonly body: (id: string) => string;
  readonly send: (sent?: Sent) => Promise<number | string>;
}

async function aReceiver(): Promise<Rig> {
  const runtime = tempRuntime();
  const claude = aLiveClaude(runtime);
  const port = await freePort();
  const input = anInput(runtime, port);
  await input.tick();
  const body = (id: string): string =>
    JSON.stringify(
      anExport([
        { name: "api_request", session: claude.session, at: runtime.now(), attributes: { ...aRequest(id, 0.01) } },
      ]),
    );
  const send = (sent: Sent = {}): Promise<number | string> => post(port, { body: body("req_1"), ...sent });
  return { runtime, claude, port, input, body, send };
}

function anInput(runtime: TempRuntime, port: number): TelemetryInput {
  const input = new TelemetryInput(runtime, { port, token });
  onTestFinished(() => input.stop());
  return input;
}

/** Answers the status, or the code of the connection's error. */
function post(
  port: number,
  { method = "POST", path = "/v1/logs", headers = {}, body = "" }: Sent,
): Promise<number | string> {
  const usual = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  return new Promise((resolve) => {
    const all = { ...usual, ...headers };
    const request = httpRequest({ host: "127.0.0.1", port, method, path, headers: all, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    request.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "error"));
    request.end(body);
  });
}

it("[OB20] takes the exports of its own client, and stores them after the answer", async () => {
  const { runtime, send, body } = await aReceiver();
  expect(await send()).toBe(200);
  expect(await send({ body: body("req_2"), headers: { "content-type": "application/json; charset=utf-8" } })).toBe(200);
  await nextTurn();
  expect(rowCount(runtime, "usage_messages")).toBe(2);
  expect(runtime.store.read(lastReceivedAt, null)).toBe(runtime.now());
});

it.each<[string, Sent, number]>([
  ["a Host of another name", { headers: { host: "shim.example:1" } }, 421],
  ["a page of a browser", { headers: { origin: "http://127.0.0.1" } }, 403],
  ["another path", { path: "/v1/metrics" }, 404],
  ["another method", { method: "PUT" }, 404],
  ["no token", { headers: { authorization: "" } }, 401],
  ["another token", { headers: { authorization: `Bearer ${token}x` } }, 401],
  ["a form", { headers: { "content-type": "text/plain" } }, 415],
  ["protobuf", { headers: { "content-type": "application/x-protobuf" } }, 415],
  ["a packed body", { headers: { "content-encoding": "gzip" } }, 415],
  ["no JSON", { body: "{" }, 400],
  ["no export", { body: "[]" }, 400],
])("[OB20] refuses %s", async (_, sent, status) => {
  const { runtime, send } = await aReceiver();
  expect(await send(sent)).toBe(status);
  await nextTurn();
  expect(rowCount(runtime, "usage_messages")).toBe(0);
});

it("[OB20] refuses what is too long, announced or not", async () => {
  const { send, body } = await aReceiver();
  const long = body("req_1") + " ".repeat(1_048_577);
  // A client that still sends when it is refused may see the connection's end first.
  expect([400, "ECONNRESET", "EPIPE"]).toContain(await send({ body: long }));
  const parts = { "transfer-encoding": "chunked" };
  expect([400, "ECONNRESET", "EPIPE"]).toContain(await send({ body: long, headers: parts }));
  expect(await send()).toBe(200);
});

it("[OB25] one process of the machine has the port, and the next takes it when that one ends", async () => {
  const { runtime, port, input, send } = await aReceiver();
  const other = tempRuntime({ beside: runtime });
  const second = anInput(other, port);
  await second.tick();
  await input.stop();
  expect(await send()).toBe("ECONNREFUSED");
  await second.tick();
  expect(await send()).toBe(200);
  await nextTurn();
  expect(rowCount(runtime, "usage_messages")).toBe(1);
});

it("[OB29] what was received is stored before the end, and the port is free then", async () => {
  const { runtime, input, send } = await aReceiver();
  expect(await send()).toBe(200);
  await input.stop();
  expect(await send()).toBe("ECONNREFUSED");
  expect(rowCount(runtime, "usage_messages")).toBe(1);
});

it("[OB25] what a busy store refuses is stored later, and at the end nothing waits", async () => {
  const { runtime, body } = await aReceiver();
  const connection = tempRuntime({ beside: runtime }).store.connection();
  const slow = tempRuntime({ beside: runtime, busyMs: 0 });
  const port = await freePort();
  const waiting = anInput(slow, port);
  await waiting.tick();
  connection.run("BEGIN IMMEDIATE");
  expect(await post(port, { body: body("req_1") })).toBe(200);
  await nextTurn();
  expect(slow.logged.join()).toContain("telemetry was not stored");
  connection.run("ROLLBACK");
  expect(rowCount(runtime, "usage_messages")).toBe(0);
  await waiting.stop();
  expect(rowCount(runtime, "usage_messages")).toBe(1);
});

it("[OB25] a full queue refuses more, for the client to repeat it", async () => {
  const { runtime, send, claude } = await aReceiver();
  const event = (at: number) => ({ name: "api_error", session: claude.session, at, attributes: { attempt: 1 } });
  const body = JSON.stringify(anExport(Array.from({ length: 1_500 }, (_, at) => event(runtime.now() + at))));
  const answers = await Promise.all(Array.from({ length: 4 }, () => send({ body })));
  expect(answers).toContain(200);
  expect(answers.every((status) => status === 200 || status === 429)).toBe(true);
});
