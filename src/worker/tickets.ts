import * as z from "zod";
import { ticketLifeMs, ticketProtocol } from "../contract/protocol.ts";
import type { Credentials } from "../durable/attachments.ts";
import type { Ticket } from "../durable/connections.ts";
import { fromBase64url, isSigned, sign, signingSecrets, toBase64url } from "./tokens.ts";
import type { Refusal } from "../contract/errors.ts";
import { dataHeaders, isFromPage } from "../shared/page-security.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { authenticate, coordinatorOf, ownOrigin, type AppContext, type Caller } from "./callers.ts";
import { errorResponse } from "./error-response.ts";

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

export interface TicketHolder extends Ticket {
  readonly workspace: string;
  readonly credentials: Credentials;
}

async function make(
  secret: string,
  workspace: string,
  { id, hash }: Credentials,
  now: number,
  random: Uint8Array,
): Promise<string> {
  const payload = { w: workspace, i: id, h: hash, e: now + ticketLifeMs, n: toBase64url(random) };
  const text = toBase64url(new TextEncoder().encode(JSON.stringify(payload)));
  return `${prefix}${text}.${await sign(secret, purpose + text)}`;
}

function findTicket(protocols: string): string | null {
  const offered = protocols.slice(0, maxProtocolsChars).split(/, */);
  const given = offered.find((one) => one.startsWith(prefix));
  return given !== undefined && offered.includes(ticketProtocol) ? given.slice(prefix.length) : null;
}

/** @param protocols Sec-WebSocket-Protocol; null: without a ticket that was signed here */
async function read(secrets: readonly string[], protocols: string): Promise<TicketHolder | null> {
  const [text = "", signature = ""] = findTicket(protocols)?.split(".") ?? [];
  if (!(await isSigned(secrets, purpose + text, signature))) return null;
  const bytes = fromBase64url(text);
  const payload = bytes && Payload.safeParse(JSON.parse(new TextDecoder().decode(bytes)));
  if (!payload?.success) return null;
  const { w: workspace, i: id, h: hash, e: expiresAt, n } = payload.data;
  return { workspace, credentials: { id, hash }, id: n, expiresAt };
}

/** For the socket of a page, which can send no Authorization header. */
export async function giveTicket(context: AppContext, random: Uint8Array): Promise<Response> {
  const caller = await authenticate(context);
  if (!caller.ok) return errorResponse(caller.error);
  const { workspace, credentials } = caller.value;
  const ticket = await make(context.env.SHIM_SIGNING_SECRET, workspace, credentials, Date.now(), random);
  return Response.json({ ticket, expiresInMs: ticketLifeMs }, { headers: dataHeaders });
}

export interface PageCaller extends Caller {
  readonly ticket: Ticket;
}

/** Only this deployment's own page, with a ticket that it has asked for. */
export async function authenticatePage(context: AppContext): Promise<Result<PageCaller, Refusal>> {
  const { req, env } = context;
  const origin = { origin: req.header("origin"), fetchSite: req.header("sec-fetch-site") };
  if (!isFromPage(origin, [ownOrigin(context)])) return err(forbidden("sockets are not open to other web pages"));
  const holder = await read(signingSecrets(env), req.header("sec-websocket-protocol") ?? "");
  if (!holder || holder.workspace !== req.param("workspace")) return err(forbidden("a page needs a ticket"));
  const { workspace, credentials, id, expiresAt } = holder;
  return ok({ workspace, credentials, stub: coordinatorOf(context, workspace), ticket: { id, expiresAt } });
}

function forbidden(message: string): Refusal {
  return { code: "forbidden", message };
}
