import * as z from "zod";
import type { Failure } from "../contract/errors.ts";
import { oldestProtocolVersion, protocolVersion, ticketLifeMs, ticketProtocol } from "../contract/protocol.ts";
import { secretProblem } from "../contract/secrets.ts";
import type { Credentials } from "../durable/attachments.ts";
import type { ChatCoordinator } from "../durable/chat-coordinator.ts";
import type { Ticket } from "../durable/connections.ts";
import { logProblem } from "../durable/log-problem.ts";
import { hashOf, toBase64url } from "../pairing/sealing.ts";
import { dataHeaders, isFromPage } from "../shared/page-security.ts";
import { err, fail, ok, type Result } from "../shared/result.ts";
import { unauthenticated, errorResponse } from "./inputs.ts";
import * as tokens from "./tokens.ts";
import type { AppContext } from "./env.ts";

export interface Caller {
  readonly workspace: string;
  readonly stub: DurableObjectStub<ChatCoordinator>;
  readonly credentials: Credentials;
}

/** The holder of a token, with what the token says. */
export interface TokenCaller extends Caller {
  readonly claims: tokens.Claims;
}

/** Keeps tokens that are unsigned or for another workspace away from the object. */
export async function authenticate(context: AppContext): Promise<Result<Caller>> {
  const version = Number(context.req.header("shim-protocol") ?? protocolVersion);
  // A text that is no number is neither.
  if (!(version >= oldestProtocolVersion && version <= protocolVersion)) {
    const served = `${oldestProtocolVersion} to ${protocolVersion}`;
    return fail("unsupported_protocol", `protocol ${served} is served; update the older side`);
  }
  return authenticateToken(context, readBearerToken(context), context.req.param("workspace") ?? "");
}

/** @param requested workspace that the token must be for; null: the one that it names */
export async function authenticateToken(
  context: AppContext,
  token: string | null,
  requested: string | null,
): Promise<Result<TokenCaller>> {
  const problem = secretProblem("SHIM_SIGNING_SECRET", context.env.SHIM_SIGNING_SECRET);
  if (problem) return err(misconfigured(problem));
  const claims = token === null ? null : await tokens.read(tokens.signingSecrets(context.env), token);
  if (token === null || !claims) return err(await failedAuthentication(context));
  const refused = checkClaims(claims, requested) ?? (await checkRateLimit(context, claims.id));
  if (refused) return err(refused);
  const { workspace, id } = claims;
  const credentials = { id, hash: await hashOf(token) };
  return ok({ workspace, stub: coordinatorOf(context, workspace), credentials, claims });
}

function checkClaims({ expiresAt, workspace }: tokens.Claims, requested: string | null): Failure | null {
  if (expiresAt !== null && expiresAt <= Date.now()) {
    return { code: "unauthenticated", message: "the token has expired; ask for a new one" };
  }
  if (requested === null || workspace === requested) return null;
  return { code: "forbidden", message: `this token is for workspace ${workspace}` };
}

/** Approximate and per location: sheds floods, and is no quota. */
async function checkRateLimit({ env }: AppContext, key: string): Promise<Failure | null> {
  if (!(await isOverLimit(env.RATE_LIMITER, key))) return null;
  return { code: "rate_limited", message: "too many requests", retryAfterMs: 10_000 };
}

/** Counts only failures: callers behind NAT or on loopback share an address. */
export async function failedAuthentication({ env, req }: AppContext): Promise<Failure> {
  const key = clientKey(env.SHIM_LOCAL !== undefined, req.header("cf-connecting-ip"));
  if (key === null || !(await isOverLimit(env.AUTH_FAILURE_LIMITER, key))) return unauthenticated;
  const message = "too many requests from this address had no valid token or secret; try again in a minute";
  return { code: "rate_limited", message, retryAfterMs: 60_000 };
}

/** Anyone may ask for these, at an address as often as authentication may fail. */
export async function checkClientLimit(
  { env, req }: AppContext,
  kind: "register" | "authorize" | "exchange",
): Promise<Failure | null> {
  const key = clientKey(env.SHIM_LOCAL !== undefined, req.header("cf-connecting-ip"));
  if (key === null || !(await isOverLimit(env.AUTH_FAILURE_LIMITER, `${kind} ${key}`))) return null;
  const message = "too many requests of clients from this address; try again in a minute";
  return { code: "rate_limited", message, retryAfterMs: 60_000 };
}

async function isOverLimit(limiter: RateLimit | undefined, key: string): Promise<boolean> {
  return limiter !== undefined && !(await limiter.limit({ key })).success;
}

/** Refuses where the deployment's secret is too weak. */
export async function requireDeploymentAdmin(context: AppContext): Promise<Result<void>> {
  const { SHIM_ADMIN_SECRET: secret, SHIM_SIGNING_SECRET: signing } = context.env;
  const problem = secretProblem("SHIM_ADMIN_SECRET", secret) ?? secretProblem("SHIM_SIGNING_SECRET", signing);
  const given = readBearerToken(context);
  const isAdmin = given !== null && secret && (await tokens.isSameSecret(given, secret));
  // Where no secret is set there is none to guess: the caller is answered with the problem.
  if (secret && !isAdmin) return err(await refuseGuess(context, given));
  return problem ? err(misconfigured(problem)) : ok(undefined);
}

/** A token signed by this deployment is no guess. */
async function refuseGuess(context: AppContext, given: string | null): Promise<Failure> {
  const { env } = context;
  const isSigned = given !== null && Boolean(env.SHIM_SIGNING_SECRET);
  const isToken = isSigned && (await tokens.read(tokens.signingSecrets(env), given)) !== null;
  return isToken ? unauthenticated : failedAuthentication(context);
}

function misconfigured(problem: string): Failure {
  logProblem("the deployment is not set up", { problem });
  const remedy = "set another value: `wrangler secret put`, or .dev.vars on this machine";
  return { code: "internal", message: `${problem}; ${remedy}`, retryAfterMs: 60_000 };
}

export function coordinatorOf(context: AppContext, workspace: string): DurableObjectStub<ChatCoordinator> {
  return context.env.COORDINATOR.getByName(workspace);
}

/** The runtime routes by Host, so it names this deployment. */
export function ownOrigin({ req }: AppContext): string {
  return `${new URL(req.url).protocol}//${req.header("host")}`;
}

export function readBearerToken(context: Pick<AppContext, "req">): string | null {
  return /^Bearer (\S{1,2000})$/.exec(context.req.header("authorization") ?? "")?.[1] ?? null;
}

/** One key for all callers of the local runtime, where a client can choose its address. */
function clientKey(isLocal: boolean, address: string | undefined): string | null {
  if (isLocal) return "local";
  return address === undefined ? null : networkOf(address);
}

/** Returns the /64 network of an IPv6 address, which one client may use as a whole (RFC 6177). */
function networkOf(address: string): string {
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.toLowerCase().split("::");
  const before = groupsOf(head);
  const after = groupsOf(tail ?? "");
  const zeros = Math.max(0, 8 - before.length - after.length);
  const groups = [...before, ...Array.from({ length: zeros }, () => "0"), ...after].slice(0, 4);
  return groups.map((group) => group.replace(/^0+(?=.)/, "")).join(":");
}

function groupsOf(text: string): string[] {
  return text === "" ? [] : text.split(":");
}

/** A page cannot set headers on a socket, and an address is logged: so it shows a ticket. */
const Payload = z.strictObject({
  w: z.string(),
  /** Token whose holder asked for it, and its hash. */
  i: z.string(),
  h: z.string(),
  e: z.number(),
  n: z.string().min(16).max(64),
});

/** No token's payload begins with this, so neither can stand for the other. */
const purpose = "ticket ";
const prefix = "ticket.";
const maxProtocolsChars = 2_000;

function findTicket(protocols: string): string {
  const offered = protocols.slice(0, maxProtocolsChars).split(/, */);
  const given = offered.find((one) => one.startsWith(prefix));
  return given !== undefined && offered.includes(ticketProtocol) ? given.slice(prefix.length) : "";
}

/** For the socket of a page, which can send no Authorization header. */
export async function giveTicket(context: AppContext, random: Uint8Array): Promise<Response> {
  const caller = await authenticate(context);
  if (!caller.ok) return errorResponse(caller.error);
  const { workspace, credentials, stub } = caller.value;
  const valid = await stub.checkToken(credentials);
  if (!valid.ok) return errorResponse(valid.error);
  const { id, hash } = credentials;
  const payload = { w: workspace, i: id, h: hash, e: Date.now() + ticketLifeMs, n: toBase64url(random) };
  const ticket = prefix + (await tokens.signed(context.env.SHIM_SIGNING_SECRET, purpose, payload));
  return Response.json({ ticket, expiresInMs: ticketLifeMs }, { headers: dataHeaders });
}

/** Only this deployment's own page, with a ticket that it has asked for. */
export async function authenticatePage(context: AppContext): Promise<Result<Caller & { readonly ticket: Ticket }>> {
  const { req, env } = context;
  const refused = checkIsOwnPage(context);
  if (refused) return err(refused);
  const ticket = findTicket(req.header("sec-websocket-protocol") ?? "");
  const payload = await tokens.readSigned(tokens.signingSecrets(env), purpose, Payload, ticket);
  if (payload === null || payload.w !== req.param("workspace")) return fail("forbidden", "a page needs a ticket");
  const { w: workspace, i: id, h: hash, e: expiresAt, n } = payload;
  const stub = coordinatorOf(context, workspace);
  return ok({ workspace, credentials: { id, hash }, stub, ticket: { id: n, expiresAt } });
}

/** Refuses a socket of any other page. */
export function checkIsOwnPage(context: AppContext): Failure | null {
  const { req } = context;
  const sender = { origin: req.header("origin"), fetchSite: req.header("sec-fetch-site") };
  if (isFromPage(sender, [ownOrigin(context)])) return null;
  return { code: "forbidden", message: "sockets are not open to other web pages" };
}

export type OpenHeaders = Readonly<Record<string, string>>;

/** Passes an upgrade on to an object. @returns its answer, or why it refuses */
export async function openSocket(
  { req }: AppContext,
  object: { fetch(url: string, init: RequestInit): Promise<Response> },
  headers: OpenHeaders,
): Promise<Result<Response>> {
  if (req.header("upgrade")?.toLowerCase() !== "websocket") return fail("bad_input", "connect is only for WebSockets");
  const response = await object.fetch("https://object/connect", { headers: { upgrade: "websocket", ...headers } });
  return response.status === 101 ? ok(response) : err(await response.json<Failure>());
}
