import type { Context } from "hono";
import type { Refusal } from "../contract/errors.ts";
import { OLDEST_PROTOCOL_VERSION, PROTOCOL_VERSION } from "../contract/protocol.ts";
import type { Credentials } from "../durable/attachments.ts";
import type { ChatCoordinator } from "../durable/chat-coordinator.ts";
import type { Env } from "../durable/env.ts";
import type { QueueQuarantine } from "../durable/queue-quarantine.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { unauthenticated } from "./answers.ts";
import * as tokens from "./tokens.ts";

export interface Bound {
  Bindings: Env;
}
export type Here = Context<Bound>;

/** Who asks, and the object that answers. */
export interface Caller {
  readonly workspace: string;
  readonly stub: DurableObjectStub<ChatCoordinator>;
  readonly credentials: Credentials;
}

/** [WO2] A token that the worker has not signed, or for another workspace, never reaches an object. */
export async function authenticate(context: Here): Promise<Result<Caller, Refusal>> {
  if (!isServed(context)) {
    const served = `${OLDEST_PROTOCOL_VERSION} to ${PROTOCOL_VERSION}`;
    return err({ code: "unsupported_protocol", message: `protocol ${served} is served; update the older side` });
  }
  const token = bearerText(context);
  const claims = token === null ? null : await tokens.read(context.env.SHIM_SIGNING_SECRET, token);
  if (token === null || !claims) return err(unauthenticated);
  const refused = notFor(claims, context.req.param("workspace")) ?? (await shed(context, claims.id));
  if (refused) return err(refused);
  const { workspace, id } = claims;
  const credentials = { id, hash: await tokens.hashOf(token) };
  return ok({ workspace, stub: coordinatorOf(context, workspace), credentials });
}

function isServed(context: Here): boolean {
  const version = Number(context.req.header("shim-protocol") ?? PROTOCOL_VERSION);
  return version >= OLDEST_PROTOCOL_VERSION && version <= PROTOCOL_VERSION;
}

function notFor({ expiresAt, workspace }: tokens.Claims, wanted: string | undefined): Refusal | null {
  if (expiresAt !== null && expiresAt <= Date.now()) {
    return { code: "unauthenticated", message: "the token is over; ask for a new one" };
  }
  return workspace === wanted ? null : { code: "forbidden", message: `this token is for workspace ${workspace}` };
}

/** Per location and only roughly counted: it sheds floods, and is no quota. */
async function shed(context: Here, key: string): Promise<Refusal | null> {
  const outcome = await context.env.RATE_LIMITER?.limit({ key });
  if (!outcome || outcome.success) return null;
  return { code: "rate_limited", message: "too many requests", retryAfterMs: 10_000 };
}

/** Whether the caller has the secret of the whole deployment. */
export async function isDeploymentAdmin(context: Here): Promise<boolean> {
  const secret = context.env.SHIM_ADMIN_SECRET;
  const given = bearerText(context);
  return Boolean(secret) && given !== null && (await tokens.isSame(given, secret));
}

export function coordinatorOf(context: Here, workspace: string): DurableObjectStub<ChatCoordinator> {
  return context.env.COORDINATOR.getByName(workspace);
}

/** The one of the deployment. */
export function quarantineOf({ QUARANTINE }: Pick<Env, "QUARANTINE">): DurableObjectStub<QueueQuarantine> {
  return QUARANTINE.getByName("messages");
}

function bearerText(context: Here): string | null {
  return /^Bearer (\S{1,2000})$/.exec(context.req.header("authorization") ?? "")?.[1] ?? null;
}
