import { HandoverClaim, HandoverPart } from "../contract/handovers.ts";
import type { HandoverBox, HashedClaim } from "../durable/handover-box.ts";
import type { AppContext } from "./app-context.ts";
import { errorResponse, readInput } from "./inputs.ts";
import { ofClaimant, ofOwner, type Answer, type Boxes } from "./sealed-boxes.ts";

/** A machine of a workspace fills a hand-over; who has its link takes it without a token. */
const handovers: Boxes<HandoverBox> = {
  kind: "handover",
  namespace: (env) => env.HANDOVERS,
  unknown: { code: "unknown_handover", message: "this coordinator has no such hand-over: copy the whole link" },
};

export async function putHandoverPart(context: AppContext): Promise<Response> {
  const input = await readInput(context, HandoverPart);
  if (!input.ok) return errorResponse(input.error);
  return ofOwner(context, handovers, (box) => box.put(partOf(context), input.value.envelope));
}

export function readHandover(context: AppContext): Promise<Response> {
  return ofOwner(context, handovers, (box) => box.status());
}

/** The first machine to show the claim may take it. */
export function claimHandover(context: AppContext): Promise<Response> {
  return ofMachine(context, (box, claim) => box.claim(claim));
}

export function readHandoverPart(context: AppContext): Promise<Response> {
  return ofMachine(context, (box, claim) => box.read(claim, partOf(context)));
}

export function finishHandover(context: AppContext): Promise<Response> {
  return ofMachine(context, (box, claim) => box.finish(claim));
}

async function ofMachine(
  context: AppContext,
  act: (box: DurableObjectStub<HandoverBox>, claim: HashedClaim) => Answer,
): Promise<Response> {
  const input = await readInput(context, HandoverClaim);
  if (!input.ok) return errorResponse(input.error);
  const { claim, ...machine } = input.value;
  return ofClaimant(context, handovers, claim, (box, claimHash) => act(box, { claimHash, ...machine }));
}

function partOf(context: AppContext): number {
  const part = context.req.param("part") ?? "";
  return /^\d{1,3}$/.test(part) ? Number(part) : Number.MAX_SAFE_INTEGER;
}
