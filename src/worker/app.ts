import { Hono, type MiddlewareHandler, type Next } from "hono";
import { bodyLimit } from "hono/body-limit";
import type { Failure } from "../contract/errors.ts";
import type { Operation, Scope } from "../contract/operation.ts";
import { operations, type OutputOf, isOperation, type OperationName } from "../contract/operations.ts";
import { defaultMaxBodyBytes, oldestProtocolVersion, protocolVersion } from "../contract/protocol.ts";
import { version } from "../contract/version.ts";
import { innerHeaders } from "../durable/attachments.ts";
import { logProblem } from "../durable/log-problem.ts";
import { hashOf } from "../pairing/sealing.ts";
import { contentType, toExposition } from "../shared/exposition.ts";
import { uuidv7 } from "../shared/ids.ts";
import type { Result } from "../shared/result.ts";
import {
  type Caller,
  requireDeploymentAdmin,
  authenticate,
  coordinatorOf,
  readBearerToken,
  authenticatePage,
  giveTicket,
  openSocket,
} from "./callers.ts";
import type { AppBindings, AppContext } from "./env.ts";
import { errorResponse, toRefusal, check, NewWorkspace, readBody, readInput, readQuery } from "./inputs.ts";
import {
  allowListedOrigins,
  handleMcp,
  handleOAuth,
  oauthPaths,
  onlyListedOrigins,
  resourceMetadata,
  resourceMetadataPath,
} from "./mcp-endpoint.ts";
import { mcpPath } from "./oauth-server.ts";
import { claimantRoutes, createBox, ownerRoutes } from "./boxes.ts";
import * as tokens from "./tokens.ts";

/**
 * Puts a workspace back to an earlier time: plans it, ends the object, which marks that outside of
 * its storage, and starts it again, which begins a new epoch before any request.
 */
async function restoreWorkspace(
  { env }: AppContext,
  { stub, credentials, workspace }: Caller,
  input: unknown,
): Promise<Response> {
  const checked = check(operations["workspace.restore"].input, input);
  if (!checked.ok) return errorResponse(checked.error);
  const { to, reason, quietMs, isDryRun } = checked.value;
  const id = crypto.randomUUID();
  const planned = await stub.planRestore(credentials, checked.value, id);
  if (!planned.ok) return errorResponse(planned.error);
  const { by, lost, bookmark } = planned.value;
  const answer = (epoch: number | null): Response =>
    Response.json({ lost: [...lost], epoch } satisfies OutputOf<"workspace.restore">);
  if (isDryRun) return answer(null);
  await stub.beginRestore(bookmark, { id, to, reason, quietMs, by }).catch((error: unknown) => {
    // The object ends itself, which is an error here; its next start knows what happened.
    logProblem("a restore has begun", { error: String(error) });
  });
  const epoch = await env.COORDINATOR.getByName(workspace).epochAfterRestore(id);
  const message = "the storage was not put back: nothing has changed. Repeat the restore";
  return epoch === null ? errorResponse({ code: "restore_unavailable", message }) : answer(epoch);
}

const failed: Failure = {
  code: "internal",
  message: "the workspace was not deleted, or not all of it: repeat it",
  retryAfterMs: 1_000,
};

/** Deletes a workspace for good, with the mark of its restores. */
async function deleteWorkspace(
  { env }: AppContext,
  { stub, credentials, workspace }: Caller,
  input: unknown,
): Promise<Response> {
  const checked = check(operations["workspace.delete"].input, input);
  if (!checked.ok) return errorResponse(checked.error);
  const answer = await stub.delete(credentials, checked.value).catch((error: unknown): Result<string> | null => {
    // The object ends itself when all is deleted, which is an error here.
    logProblem("a workspace is deleted", { error: String(error) });
    return null;
  });
  if (answer?.ok === false) return errorResponse(answer.error);
  if (await env.COORDINATOR.getByName(workspace).isCreated()) return errorResponse(failed);
  await env.RESTORE_MARKS?.getByName(workspace).clear();
  return Response.json({ isDeleted: true } satisfies OutputOf<"workspace.delete">);
}

const base = "/v1/workspaces/:workspace";

export const app = new Hono<AppBindings>();

app.onError((error, context) => {
  // oxlint-disable-next-line no-console -- the log of a worker is its console
  console.error(
    JSON.stringify({ what: "a request failed", path: new URL(context.req.url).pathname, error: String(error) }),
  );
  return errorResponse(toRefusal(error));
});
app.notFound((context) =>
  errorResponse({
    code: "unknown_operation",
    message: `there is nothing at ${context.req.method} ${new URL(context.req.url).pathname}`,
  }),
);

app.use((context, next) => guard(context, next));
app.get("/health", ({ env }) =>
  Response.json({
    protocol: protocolVersion,
    oldestProtocol: oldestProtocolVersion,
    version: env.VERSION?.id ?? null,
    deployedAt: env.VERSION?.timestamp ?? null,
    now: Date.now(),
    shim: version,
  }),
);
app.use(mcpPath, (context, next) => onlyListedOrigins(context, next), allowListedOrigins);
app.all(mcpPath, limitBody(), (context) => handleMcp(context));
for (const path of [resourceMetadataPath, `${resourceMetadataPath}${mcpPath}`]) {
  app.get(path, allowListedOrigins, (context) => resourceMetadata(context));
}
for (const path of oauthPaths) app.all(path, limitBody(), (context) => handleOAuth(context));
app.post("/v1/workspaces", limitBody(), (context) => createWorkspace(context));
app.get(`${base}/metrics`, (context) => scrape(context));
app.post(`${base}/tickets`, limitBody(), (context) => giveTicket(context, randomBytes()));
app.get(`${base}/connect`, (context) => connect(context));
for (const [method, path, answer] of ownerRoutes) app.on(method, base + path, limitBody(), answer);
for (const [method, path, answer] of claimantRoutes) app.on(method, `/v1${path}`, limitBody(), answer);
for (const [name, operation] of Object.entries<Operation>(operations)) {
  if (!isOperation(name) || operation.isSocketOnly) continue;
  app.on(operation.method, `${base}${operation.path}`, limitBody(operation), (context) => serve(context, name));
}

function limitBody({
  maxBodyBytes: maxSize = defaultMaxBodyBytes,
}: Pick<Operation, "maxBodyBytes"> = {}): MiddlewareHandler {
  const tooLarge: Failure = { code: "too_large", message: `a body has at most ${maxSize} bytes` };
  return bodyLimit({ maxSize, onError: () => errorResponse(tooLarge) });
}

/** Only for the holder of the deployment's admin secret. */
async function createWorkspace(context: AppContext): Promise<Response> {
  const admin = await requireDeploymentAdmin(context);
  if (!admin.ok) return errorResponse(admin.error);
  const input = await readInput(context, NewWorkspace);
  if (!input.ok) return errorResponse(input.error);
  const { workspace, requestId } = input.value;
  const secret = context.env.SHIM_SIGNING_SECRET;
  const { id, random } =
    requestId === undefined
      ? { id: newId(), random: randomBytes() }
      : await tokens.deriveFirstToken(secret, workspace, requestId);
  const claims = { workspace, id, machine: "admin", scope: "admin" as Scope, expiresAt: null };
  const token = await tokens.make(secret, claims, random);
  const first = { ...claims, hash: await hashOf(token) };
  const made = await coordinatorOf(context, workspace).create(first);
  return made.ok ? Response.json({ workspace, id, token }) : errorResponse(made.error);
}

async function serve(context: AppContext, name: OperationName): Promise<Response> {
  const caller = await authenticate(context);
  if (!caller.ok) return errorResponse(caller.error);
  const operation: Operation = operations[name];
  const query = operation.method === "GET" ? readQuery(operation, context.req.url) : null;
  const body = query ?? (await readBody(context));
  if (!body.ok) return errorResponse(body.error);
  if (name === "boxes.create") return createBox(context, caller.value, body.value.value);
  if (name === "tokens.create") return createToken(context, caller.value, body.value.value);
  if (name === "tokens.renew") return renewToken(context, caller.value);
  if (name === "workspace.delete") return deleteWorkspace(context, caller.value, body.value.value);
  if (name === "workspace.restore") return restoreWorkspace(context, caller.value, body.value.value);
  // The text costs less to send than its parts.
  const input = query ? body.value : body.value.text;
  const { stub, credentials } = caller.value;
  const result = await stub.call(credentials, name, input);
  if (!result.ok) return errorResponse(result.error);
  return new Response(result.value, { headers: { "content-type": "application/json" } });
}

/** The workspace's metrics as Prometheus text. */
async function scrape(context: AppContext): Promise<Response> {
  const caller = await authenticate(context);
  if (!caller.ok) return errorResponse(caller.error);
  const { stub, credentials } = caller.value;
  const result = await stub.call(credentials, "metrics", {});
  if (!result.ok) return errorResponse(result.error);
  const { samples } = JSON.parse(result.value) as OutputOf<"metrics">;
  return new Response(await toExposition(samples), { headers: { "content-type": contentType } });
}

/** The object stores the hash only, so the token is made here. */
async function createToken(
  context: AppContext,
  { stub, credentials, workspace }: Caller,
  input: unknown,
): Promise<Response> {
  const checked = check(operations["tokens.create"].input, input);
  if (!checked.ok) return errorResponse(checked.error);
  const { machine, scope, ttlMs, requestId } = checked.value;
  const secret = context.env.SHIM_SIGNING_SECRET;
  const random = requestId === undefined ? randomBytes() : await tokens.deriveRandom(secret, workspace, requestId);
  const claims = { workspace, id: newId(), machine, scope, expiresAt: ttlMs === undefined ? null : Date.now() + ttlMs };
  const token = await tokens.make(secret, claims, random);
  const hash = await hashOf(token);
  const added = await stub.addToken(credentials, { ...claims, hash }, { requestId, ttlMs });
  if (!added.ok) return errorResponse(added.error);
  // A repeat answers with the id and expiry of the first request.
  const { id, expiresAt } = JSON.parse(added.value) as Pick<OutputOf<"tokens.create">, "id"> & {
    readonly expiresAt: number | null;
  };
  const isNew = id === claims.id;
  return Response.json({ id, token: isNew ? token : await tokens.make(secret, { ...claims, id, expiresAt }, random) });
}

async function renewToken(context: AppContext, { stub, credentials }: Caller): Promise<Response> {
  const token = await tokens.signAgain(context.env.SHIM_SIGNING_SECRET, readBearerToken(context) ?? "");
  const renewed = await stub.renewToken(credentials, await hashOf(token));
  if (!renewed.ok) return errorResponse(renewed.error);
  return Response.json({ token } satisfies OutputOf<"tokens.renew">);
}

async function connect(context: AppContext): Promise<Response> {
  const isPage = context.req.header("origin") !== undefined;
  const caller = isPage ? await authenticatePage(context) : await authenticate(context);
  if (!caller.ok) return errorResponse(caller.error);
  const { stub, credentials } = caller.value;
  const ticket = "ticket" in caller.value ? { [innerHeaders.ticket]: JSON.stringify(caller.value.ticket) } : {};
  const headers = { [innerHeaders.token]: credentials.id, [innerHeaders.hash]: credentials.hash, ...ticket };
  const opened = await openSocket(context, stub, headers);
  return opened.ok ? opened.value : errorResponse(opened.error);
}

function newId(): string {
  return `tok_${uuidv7(Date.now(), randomBytes())}`;
}

function randomBytes(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(16));
}

const loopback = /^(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/i;

/**
 * Every answer is for its caller alone. Against DNS rebinding, where the browser sends the
 * rebound name as Host, it reads the header: a client of the local runtime can choose the URL.
 */
async function guard(context: AppContext, next: Next): Promise<void> {
  const message = "use http://127.0.0.1 or http://localhost: no other Host is served here";
  if (context.env.SHIM_LOCAL === undefined || loopback.test(context.req.header("host") ?? "")) await next();
  else context.res = errorResponse({ code: "forbidden", message });
  // The headers of an upgrade cannot be changed.
  if (context.res.status !== 101) context.header("cache-control", "no-store");
}
