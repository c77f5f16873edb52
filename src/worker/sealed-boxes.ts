import type { Refusal } from "../contract/errors.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { authenticateToken, failedAuthentication, readBearerToken, type AppContext } from "./callers.ts";
import { errorResponse } from "./inputs.ts";
import * as tokens from "./tokens.ts";

/**
 * Objects outside of a workspace, for callers without a token: their names are signed, so that no
 * invented one reaches an object, and a machine of a workspace owns each.
 */

type BoxKind = "handover" | "phone";

export type BoxAnswer = Promise<Result<unknown, Refusal>>;

const signatureChars = 22;

/** No token's payload contains a blank, so neither signature can stand for the other. */
async function signatureOf(secret: string, kind: BoxKind, name: string): Promise<string> {
  return (await tokens.sign(secret, `${kind} ${name}`)).slice(0, signatureChars);
}

export async function makeId(secret: string, kind: BoxKind): Promise<string> {
  const name = tokens.toBase64url(crypto.getRandomValues(new Uint8Array(16)));
  return `${name}${await signatureOf(secret, kind, name)}`;
}

/** @returns whether this deployment has made it */
export async function isOwnId({ env }: AppContext, kind: BoxKind, id: string): Promise<boolean> {
  for (const secret of tokens.signingSecrets(env)) {
    const signature = await signatureOf(secret, kind, id.slice(0, -signatureChars));
    if (await tokens.isSameSecret(signature, id.slice(-signatureChars))) return true;
  }
  return false;
}

/** @returns the id of a token that may work in the workspace */
export async function ownerOf(context: AppContext): Promise<Result<string, Refusal>> {
  const caller = await authenticateToken(context, readBearerToken(context), context.req.param("workspace") ?? "");
  if (!caller.ok) return caller;
  const { stub, credentials, claims } = caller.value;
  const isValid = await stub.checkToken(credentials);
  if (!isValid.ok) return isValid;
  if (claims.scope === "work" || claims.scope === "admin") return ok(credentials.id);
  return err({ code: "forbidden", message: `this needs a token of scope work, and this one has ${claims.scope}` });
}

/** Counts a guess as a failed authentication of its address. @param refusal where it may go on */
export async function refuseGuess(context: AppContext, refusal: Refusal): Promise<Refusal> {
  const failed = await failedAuthentication(context);
  return failed.code === "rate_limited" ? failed : refusal;
}

export function respond(answer: Awaited<BoxAnswer>): Response {
  return answer.ok ? Response.json(answer.value ?? {}) : errorResponse(answer.error);
}
