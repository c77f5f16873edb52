import type { Refusal } from "../contract/errors.ts";
import { Claim, HandoverClaim, HandoverId, HandoverPart, NewHandover } from "../contract/handovers.ts";
import type { HandoverBox, HashedClaim } from "../durable/handover-box.ts";
import { err, ok, type Result } from "../shared/result.ts";
import type { AppContext } from "./callers.ts";
import { errorResponse, readInput } from "./inputs.ts";
import { isOwnId, makeId, ownerOf, refuseGuess, respond, type BoxAnswer } from "./sealed-boxes.ts";
import * as tokens from "./tokens.ts";

/** A machine of a workspace fills a hand-over; who has its link takes it without a token. */

const kind = "handover";

export async function createHandover(context: AppContext): Promise<Response> {
  const owner = await ownerOf(context);
  if (!owner.ok) return errorResponse(owner.error);
  const input = await readInput(context, NewHandover);
  if (!input.ok) return errorResponse(input.error);
  const id = await makeId(context.env.SHIM_SIGNING_SECRET, kind);
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

type Box = DurableObjectStub<HandoverBox>;

/** Only for the token that has made it. */
async function ofOwner(context: AppContext, act: (box: Box, owner: string) => BoxAnswer): Promise<Response> {
  const owner = await ownerOf(context);
  if (!owner.ok) return errorResponse(owner.error);
  const box = await boxOf(context);
  return box.ok ? respond(await act(box.value, owner.value)) : errorResponse(box.error);
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
async function ofClaimant(context: AppContext, act: (box: Box, claim: HashedClaim) => BoxAnswer): Promise<Response> {
  const input = await readInput(context, HandoverClaim);
  if (!input.ok) return errorResponse(input.error);
  const box = await boxOf(context);
  if (!box.ok) return errorResponse(box.error);
  const { claim, claimant, by } = input.value;
  const answer = await act(box.value, { claimHash: await tokens.hashOf(Claim.parse(claim)), claimant, by });
  return !answer.ok && answer.error.code === "unknown_handover"
    ? errorResponse(await refuseGuess(context, answer.error))
    : respond(answer);
}

const unknown: Refusal = {
  code: "unknown_handover",
  message: "this is no hand-over of this coordinator: copy the whole link",
};

async function boxOf(context: AppContext): Promise<Result<Box, Refusal>> {
  const id = HandoverId.safeParse(context.req.param("id"));
  const isOwn = id.success && (await isOwnId(context, kind, id.data));
  return isOwn ? ok(context.env.HANDOVERS.getByName(id.data)) : err(await refuseGuess(context, unknown));
}

function partOf(context: AppContext): number {
  const part = context.req.param("part") ?? "";
  return /^\d{1,3}$/.test(part) ? Number(part) : Number.MAX_SAFE_INTEGER;
}
