import type { Refusal } from "../contract/errors.ts";
import { ticketLifeMs } from "../contract/protocol.ts";
import type { Ticket } from "../durable/tickets.ts";
import { dataHeaders, isFromPage } from "../shared/page-security.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { authenticate, coordinatorOf, ownOrigin, type AppContext, type Caller } from "./callers.ts";
import { errorResponse } from "./error-response.ts";
import * as tickets from "./tickets.ts";

/** [WP17] For the socket of a page, which can send no Authorization header. */
export async function giveTicket(context: AppContext, random: Uint8Array): Promise<Response> {
  const caller = await authenticate(context);
  if (!caller.ok) return errorResponse(caller.error);
  const { workspace, credentials } = caller.value;
  const ticket = await tickets.make(context.env.SHIM_SIGNING_SECRET, workspace, credentials, Date.now(), random);
  return Response.json({ ticket, expiresInMs: ticketLifeMs }, { headers: dataHeaders });
}

export interface PageCaller extends Caller {
  readonly ticket: Ticket;
}

/** [WP17] Only this deployment's own page, with a ticket that it has asked for. */
export async function authenticatePage(context: AppContext): Promise<Result<PageCaller, Refusal>> {
  const { req, env } = context;
  const origin = { origin: req.header("origin"), fetchSite: req.header("sec-fetch-site") };
  if (!isFromPage(origin, [ownOrigin(context)])) return err(forbidden("sockets are not open to other web pages"));
  const holder = await tickets.read(env.SHIM_SIGNING_SECRET, req.header("sec-websocket-protocol") ?? "");
  if (!holder || holder.workspace !== req.param("workspace")) return err(forbidden("a page needs a ticket"));
  const { workspace, credentials, id, expiresAt } = holder;
  return ok({ workspace, credentials, stub: coordinatorOf(context, workspace), ticket: { id, expiresAt } });
}

function forbidden(message: string): Refusal {
  return { code: "forbidden", message };
}
