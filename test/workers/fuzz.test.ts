import * as fc from "fast-check";
import { afterEach, beforeEach, expect, it, vi, type MockInstance } from "vitest";
import { errorTable, type ErrorCode } from "#src/contract/errors.ts";
import { WireError } from "#src/contract/protocol.ts";
import { commonErrors, type Operation } from "#src/contract/operation.ts";
import { operationNames, operations, type OperationName } from "#src/contract/operations.ts";
import { ChatCoordinator } from "#src/durable/chat-coordinator.ts";
import type { Env } from "#src/worker/env.ts";
import type { Result } from "#src/shared/result.ts";
import { app } from "#src/worker/app.ts";
import { type Message, bearer, bindings, dump, httpOf, origin, TestWorkspace } from "./support.ts";
import { inputsOf, rawBodies } from "#harness/coordinator/hostile.ts";

/** So many requests and frames. VITE_SHIM_FUZZ_RUNS asks for more. */
const runs = Number((import.meta as { env?: Record<string, string> }).env?.["VITE_SHIM_FUZZ_RUNS"] ?? 3_000);
/** A workspace is used for so many: what they leave behind meets what follows. */
const perWorkspace = 150;

const byHttp = operationNames.filter((name) => !("isSocketOnly" in operations[name]));
/** Without a limit to the rate, which a fuzzer is above. */
const { RATE_LIMITER: _, ...unlimited } = bindings;
const env: Env = unlimited;

/** Refused requests that have changed something: there must be none. */
const changed: string[] = [];
const consoles = ["error", "log", "warn", "info", "debug"] as const;

let printed: MockInstance[] = [];
beforeEach(() => {
  printed = consoles.map((name) => vi.spyOn(console, name).mockReturnValue());
  for (const name of ["call", "addToken"] as const) watchForChanges(name);
});
afterEach(() => vi.restoreAllMocks());

/** Each request that reaches an object is compared there with what it leaves behind. */
function watchForChanges(name: "call" | "addToken"): void {
  const original = ChatCoordinator.prototype[name] as (...given: unknown[]) => Result<never>;
  const spy = vi.spyOn(ChatCoordinator.prototype, name);
  spy.mockImplementation(function watched(this: ChatCoordinator, ...given: unknown[]) {
    const { ctx } = this as unknown as { ctx: DurableObjectState };
    const before = dump(ctx);
    const answer = original.apply(this, given);
    if (!answer.ok && dump(ctx) !== before) changed.push(`${JSON.stringify(given)}: ${JSON.stringify(answer)}`);
    return answer;
  });
}

type Answered = Readonly<{ status: number; text: string }>;

/** Well-formed, of the table, and with nothing in it that is nobody's business. */
function check(name: OperationName | null, { status, text }: Answered, secrets: readonly string[]): void {
  // Renewed is the caller's own token.
  if (name !== "tokens.renew") for (const secret of secrets) expect(text).not.toContain(secret);
  expect(text).not.toMatch(/\n\s+at /);
  const body = JSON.parse(text) as { error?: unknown };
  const operation: Operation | null = name && operations[name];
  if (status === 200) {
    expect(operation?.output.safeParse(body).error).toBeUndefined();
    return;
  }
  const { code } = WireError.parse(body.error);
  const allowed: readonly ErrorCode[] = [...commonErrors, ...(operation?.errors ?? ["unknown_operation"])];
  expect(allowed.filter((one) => one !== "internal")).toContain(code);
  expect(status).toBe(errorTable[code].status);
}

const requests = fc.constantFrom(...byHttp).chain((name) =>
  fc.record({
    name: fc.constant(name),
    input: inputsOf(name),
    raw: fc.oneof({ weight: 15, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: rawBodies }),
    who: fc.constantFrom<Who[]>("admin", "admin", "admin", "work", "work", "other", "observe", "nobody"),
  }),
);

type Who = "admin" | "work" | "other" | "observe" | "nobody";

async function tokensOf(workspace: TestWorkspace): Promise<Record<Who, string>> {
  const self = await workspace.register("c1", { session: "s1" });
  await workspace.register("c2", { session: "s2" });
  await workspace.ask("leases.acquire", { self, resource: "r", requestId: "q1" });
  const { token: work } = await workspace.tokenOf("work");
  const { token: other } = await workspace.tokenOf("work", "m2");
  const { token: observe } = await workspace.tokenOf("observe");
  return { admin: workspace.token, work, other, observe, nobody: "shim_a.b" };
}

it(`${runs} hostile requests over all operations: each has a well-formed answer, and a refusal changes nothing @night`, async () => {
  let used = 0;
  let workspace = await TestWorkspace.create();
  let tokens = await tokensOf(workspace);
  await fc.assert(
    fc.asyncProperty(requests, async ({ name, input, raw, who }) => {
      if ((used += 1) % perWorkspace === 0) {
        workspace = await TestWorkspace.create();
        tokens = await tokensOf(workspace);
      }
      const { path, init } = httpOf(workspace.name, name, Object(input) as object);
      const body = init.method === "GET" ? null : (raw ?? JSON.stringify(input));
      const answer = await app.request(`${origin}${path}`, { ...init, headers: bearer(tokens[who]), body }, env);
      const { nobody: _, ...secrets } = tokens;
      check(name, { status: answer.status, text: await answer.text() }, Object.values(secrets));
      expect(changed).toEqual([]);
    }),
    { numRuns: runs },
  );
  expect(printed.flatMap(({ mock }) => mock.calls)).toEqual([]);
}, 600_000);

const request = fc
  .constantFrom(...operationNames)
  .chain((method) => fc.record({ method: fc.constantFrom(method, method, "__proto__"), params: inputsOf(method) }));
const frames = fc.array(request, { minLength: 1, maxLength: 6 });

async function hasRoom(workspace: TestWorkspace): Promise<boolean> {
  const answer = await workspace.call("settings.get", {});
  if (answer.status !== 200) return false;
  const { maxOperationsPerSecond, maxSocketsPerToken, maxSockets } = answer.value.settings;
  return maxOperationsPerSecond >= 1_000 && Math.min(maxSocketsPerToken, maxSockets) >= 10;
}

it(`${runs / 30} hostile frames: each has a well-formed answer, in the order of its requests`, async () => {
  let used = 0;
  let workspace = await TestWorkspace.create();
  let connection = await workspace.connect();
  await fc.assert(
    fc.asyncProperty(frames, async (sent) => {
      if ((used += 1) % perWorkspace === 0) workspace = await TestWorkspace.create();
      // What came before may have closed it: a chat that has left, a revoked token.
      connection.close();
      // Settings that were sent may leave no room for another.
      if (!(await hasRoom(workspace))) workspace = await TestWorkspace.create();
      connection = await workspace.connect();
      const all = [...sent, { method: "health", params: {} }];
      connection.send(all.map((one, id) => Object.assign({ jsonrpc: "2.0", id }, one)));
      const answers = (await connection.next()) as unknown as Message[];
      expect(answers.map(({ id }) => id)).toEqual([...all.keys()]);
      for (const { error, result } of answers) {
        expect(error === undefined).toBe(result !== undefined);
        if (error) expect(WireError.parse(error.data).code).not.toBe("internal");
      }
    }),
    { numRuns: runs / 30 },
  );
  expect(printed.flatMap(({ mock }) => mock.calls)).toEqual([]);
}, 600_000);
