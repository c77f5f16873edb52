import { Hono, type MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import type { Refusal } from "../contract/errors.ts";
import type { Operation } from "../contract/operation.ts";
import { isOperation, operations, type OperationName } from "../contract/operations.ts";
import { MAX_BODY_BYTES, OLDEST_PROTOCOL_VERSION, PROTOCOL_VERSION } from "../contract/protocol.ts";
import { Id } from "../contract/values.ts";
import { CreateToken, type Scope } from "../contract/workspaces.ts";
import type { NewToken } from "../coordination/tokens.ts";
import { uuidv7 } from "../shared/ids.ts";
import type { Result } from "../shared/result.ts";
import { refused } from "./answers.ts";
import {
  asDeploymentAdmin,
  authenticate,
  coordinatorOf,
  quarantineOf,
  type Bound,
  type Caller,
  type Here,
} from "./callers.ts";
import { openApi } from "./open-api.ts";
import { check, NewWorkspace, queryOf, readBody, readQuery } from "./inputs.ts";
import { onlyLoopbackHosts } from "./local-host.ts";
import * as tokens from "./tokens.ts";

const base = "/v1/workspaces/:workspace";

/** The edge entry: who asks, what, and whether it can be meant; then the workspace's object answers. */
export const app = new Hono<Bound>();

app.onError((error, context) => {
  // oxlint-disable-next-line no-console -- the log of a worker is its console
  console.error(
    JSON.stringify({ what: "a request failed", path: new URL(context.req.url).pathname, error: String(error) }),
  );
  return refused(failed(error));
});
app.notFound((context) =>
  refused({
    code: "unknown_operation",
    message: `there is nothing at ${context.req.method} ${new URL(context.req.url).pathname}`,
  }),
);

app.use(onlyLoopbackHosts);
app.get("/health", (context) => health(context));
app.get("/openapi.json", () => Response.json(openApi()));
app.post("/v1/workspaces", limited(), (context) => createWorkspace(context));
app.get(`${base}/connect`, (context) => connect(context));
for (const [name, operation] of Object.entries<Operation>(operations)) {
  if (!isOperation(name) || operation.isSocketOnly) continue;
  app.on(operation.method, `${base}${operation.path}`, limited(operation), (context) => serve(context, name));
}

/** [WO3] */
function limited({ maxBodyBytes: maxSize = MAX_BODY_BYTES }: Pick<Operation, "maxBodyBytes"> = {}): MiddlewareHandler {
  const tooLarge: Refusal = { code: "too_large", message: `a body has at most ${maxSize} bytes` };
  return bodyLimit({ maxSize, onError: () => refused(tooLarge) });
}

/** [QU7] Who has the deployment's admin secret is told besides what nobody could read of its queues. */
async function health(context: Here): Promise<Response> {
  const versions = { protocol: PROTOCOL_VERSION, oldestProtocol: OLDEST_PROTOCOL_VERSION };
  if (context.req.header("authorization") === undefined) return Response.json(versions);
  const admin = await asDeploymentAdmin(context);
  if (admin.ok) return Response.json({ ...versions, quarantine: await quarantineOf(context.env).list() });
  return admin.error.code === "unauthenticated" ? Response.json(versions) : refused(admin.error);
}

/** An object that is overloaded must not be asked again at once (Cloudflare, Durable Objects error handling). */
function failed(error: unknown): Refusal {
  const isOverloaded =
    typeof error === "object" && error !== null && "overloaded" in error && error.overloaded === true;
  return isOverloaded
    ? { code: "overloaded", message: "the workspace has too much to do", retryAfterMs: 5_000 }
    : { code: "internal", message: "the coordinator failed", retryAfterMs: 1_000 };
}

/** [WO1] [WO10] Only the holder of the deployment's admin secret makes a workspace. */
async function createWorkspace(context: Here): Promise<Response> {
  const admin = await asDeploymentAdmin(context);
  if (!admin.ok) return refused(admin.error);
  const body = await readBody(context);
  if (!body.ok) return refused(body.error);
  const checked = check(NewWorkspace, body.value);
  if (!checked.ok) return refused(checked.error);
  const { workspace, requestId } = checked.value;
  const secret = context.env.SHIM_SIGNING_SECRET;
  const { id, random } =
    requestId === undefined
      ? { id: newId(), random: randomBytes() }
      : await tokens.firstOf(secret, workspace, requestId);
  const claims = { workspace, id, machine: "admin", scope: "admin" as Scope, expiresAt: null };
  const token = await tokens.make(secret, claims, random);
  const first = { ...claims, hash: await tokens.hashOf(token) };
  const made = read(await coordinatorOf(context, workspace).create(first));
  return made.ok ? Response.json({ workspace, id, token }) : refused(made.error);
}

async function serve(context: Here, name: OperationName): Promise<Response> {
  const caller = await authenticate(context);
  if (!caller.ok) return refused(caller.error);
  const operation: Operation = operations[name];
  const input = operation.method === "GET" ? readQuery(operation, context.req.url) : await readBody(context);
  if (!input.ok) return refused(input.error);
  const { stub, credentials } = caller.value;
  if (name === "tokens.create") return createToken(context, caller.value, input.value);
  const result = read(await stub.call(credentials, name, input.value));
  return result.ok ? Response.json(result.value) : refused(result.error);
}

/** The object stores the hash only, so the token is made here. */
async function createToken(context: Here, { stub, credentials, workspace }: Caller, input: unknown): Promise<Response> {
  const checked = check(CreateToken.input, input);
  if (!checked.ok) return refused(checked.error);
  const { machine, scope, ttlMs, requestId } = checked.value;
  const secret = context.env.SHIM_SIGNING_SECRET;
  const random = requestId === undefined ? randomBytes() : await tokens.randomOf(secret, workspace, requestId);
  const claims = { workspace, id: newId(), machine, scope, expiresAt: ttlMs === undefined ? null : Date.now() + ttlMs };
  const token = await tokens.make(secret, claims, random);
  const hash = await tokens.hashOf(token);
  const added = read<Added>(await stub.addToken(credentials, { ...claims, hash }, { requestId, ttlMs }));
  if (!added.ok) return refused(added.error);
  // [RQ6] Of a repeat it is the first one's.
  const { id, expiresAt } = added.value;
  const isNew = id === claims.id;
  return Response.json({ id, token: isNew ? token : await tokens.make(secret, { ...claims, id, expiresAt }, random) });
}

type Added = Pick<NewToken, "id" | "expiresAt">;

async function connect(context: Here): Promise<Response> {
  const query = queryOf(context.req.url);
  if (!query.ok) return refused(query.error);
  const { chat } = query.value;
  const problem = notConnectable(context, chat);
  if (problem) return refused(problem);
  const caller = await authenticate(context);
  if (!caller.ok) return refused(caller.error);
  const { stub, credentials } = caller.value;
  const inner = new URL("https://coordinator/connect");
  inner.searchParams.set("token", credentials.id);
  inner.searchParams.set("hash", credentials.hash);
  if (chat !== undefined) inner.searchParams.set("chat", chat);
  const response = await stub.fetch(new Request(inner, { headers: { upgrade: "websocket" } }));
  return response.status === 101 ? response : refused(await response.json<Refusal>());
}

function notConnectable(context: Here, chat: string | undefined): Refusal | null {
  if (context.req.header("upgrade")?.toLowerCase() !== "websocket") {
    return { code: "bad_input", message: "connect is for WebSockets" };
  }
  // A page in a browser sends its origin with a socket, and the rules of CORS do not hold for it.
  if (context.req.header("origin") !== undefined)
    return { code: "forbidden", message: "sockets are not open to pages" };
  const isId = chat === undefined || Id.safeParse(chat).success;
  return isId ? null : { code: "bad_input", message: "chat: not an id" };
}

/** What an object has answered, as text of a Result. */
function read<Value extends object>(text: string): Result<Value, Refusal> {
  // Written by the object's own text().
  return JSON.parse(text) as Result<Value, Refusal>;
}

function newId(): string {
  return `tok_${uuidv7(Date.now(), randomBytes())}`;
}

function randomBytes(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(16));
}
