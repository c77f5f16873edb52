import type { Refusal } from "../contract/errors.ts";
import { Claim, HandoverClaim, HandoverId, HandoverPart, NewHandover } from "../contract/handovers.ts";
import type { HandoverBox, HashedClaim } from "../durable/handover-box.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { authenticateToken, failedAuthentication, readBearerToken, type AppContext } from "./callers.ts";
import { errorResponse } from "./inputs.ts";
import { check, readBody } from "./inputs.ts";
import * as tokens from "./tokens.ts";

/** A machine of a workspace fills a hand-over; who has its link takes it without a token. */

/** No token's payload contains a blank, so neither signature can stand for the other. */
const purpose = "handover ";
const signatureChars = 22;

async function makeId(secret: string): Promise<string> {
  const name = tokens.toBase64url(crypto.getRandomValues(new Uint8Array(16)));
  return `${name}${(await tokens.sign(secret, purpose + name)).slice(0, signatureChars)}`;
}

/** @returns whether this deployment has made it */
async function isOwnId(secrets: readonly string[], id: string): Promise<boolean> {
  const name = id.slice(0, -signatureChars);
  for (const secret of secrets) {
    const signature = (await tokens.sign(secret, purpose + name)).slice(0, signatureChars);
    if (await tokens.isSameSecret(signature, id.slice(-signatureChars))) return true;
  }
  return false;
}

export async function createHandover(context: AppContext): Promise<Response> {
  const owner = await ownerOf(context);
  if (!owner.ok) return errorResponse(owner.error);
  const input = await readInput(context, NewHandover);
  if (!input.ok) return errorResponse(input.error);
  const id = await makeId(context.env.SHIM_SIGNING_SECRET);
  await context.env.HANDOVERS.getByName(id).create(owner.value, input.value, input.value.forMs);
  return Response.json({ id });
}

export async function putHandoverPart(context: AppContext): Promise<Response> {
  const input = await readInput(context, HandoverPart);
  if (!input.ok) return errorResponse(input.error);
  return ofOwner(context, (box, owner) => box.put(owner, partOf(context), input.value.envelope));
}

export function readHandover(context: AppContext): Promise<Response> {
  return ofOwner(context, (box, owner) => box.status(owner));
}

export function cancelHandover(context: AppContext): Promise<Response> {
  return ofOwner(context, (box, owner) => box.cancel(owner));
}

type Answer = Promise<Result<unknown, Refusal>>;
type Box = DurableObjectStub<HandoverBox>;

/** Only for the token that has made it. */
async function ofOwner(context: AppContext, act: (box: Box, owner: string) => Answer): Promise<Response> {
  const owner = await ownerOf(context);
  if (!owner.ok) return errorResponse(owner.error);
  const box = await boxOf(context);
  return box.ok ? respond(await act(box.value, owner.value)) : errorResponse(box.error);
}

/** @returns the id of a token that may work in the workspace */
async function ownerOf(context: AppContext): Promise<Result<string, Refusal>> {
  const caller = await authenticateToken(context, readBearerToken(context), context.req.param("workspace") ?? "");
  if (!caller.ok) return caller;
  const { stub, credentials, claims } = caller.value;
  const isValid = await stub.checkToken(credentials);
  if (!isValid.ok) return isValid;
  if (claims.scope === "work" || claims.scope === "admin") return ok(credentials.id);
  return err({ code: "forbidden", message: `this needs a token of scope work, and this one has ${claims.scope}` });
}

/** The first machine to show the claim may take it. */
export async function claimHandover(context: AppContext): Promise<Response> {
  return ofClaimant(context, (box, claim) => box.claim(claim));
}

export async function readHandoverPart(context: AppContext): Promise<Response> {
  return ofClaimant(context, (box, claim) => box.read(claim, partOf(context)));
}

export async function finishHandover(context: AppContext): Promise<Response> {
  return ofClaimant(context, (box, claim) => box.finish(claim));
}

/** A guess counts as a failed authentication of its address. */
async function ofClaimant(context: AppContext, act: (box: Box, claim: HashedClaim) => Answer): Promise<Response> {
  const input = await readInput(context, HandoverClaim);
  if (!input.ok) return errorResponse(input.error);
  const box = await boxOf(context);
  if (!box.ok) return errorResponse(box.error);
  const { claim, claimant, by } = input.value;
  const answer = await act(box.value, { claimHash: await tokens.hashOf(Claim.parse(claim)), claimant, by });
  return !answer.ok && answer.error.code === "unknown_handover" ? refuseGuess(context, answer.error) : respond(answer);
}

async function refuseGuess(context: AppContext, refusal: Refusal): Promise<Response> {
  const failed = await failedAuthentication(context);
  return errorResponse(failed.code === "rate_limited" ? failed : refusal);
}

async function boxOf(context: AppContext): Promise<Result<Box, Refusal>> {
  const id = HandoverId.safeParse(context.req.param("id"));
  if (id.success && (await isOwnId(tokens.signingSecrets(context.env), id.data)))
    return ok(context.env.HANDOVERS.getByName(id.data));
  const failed = await failedAuthentication(context);
  if (failed.code === "rate_limited") return err(failed);
  return err({ code: "unknown_handover", message: "this is no hand-over of this coordinator: copy the whole link" });
}

function partOf(context: AppContext): number {
  const part = context.req.param("part") ?? "";
  return /^\d{1,3}$/.test(part) ? Number(part) : Number.MAX_SAFE_INTEGER;
}

async function readInput<Output>(
  context: AppContext,
  schema: Parameters<typeof check<Output>>[0],
): Promise<Result<Output, Refusal>> {
  const body = await readBody(context);
  return body.ok ? check(schema, body.value.value) : body;
}

function respond(answer: Awaited<Answer>): Response {
  return answer.ok ? Response.json(answer.value ?? {}) : errorResponse(answer.error);
}
