import type { Failure } from "../contract/errors.ts";
import { HandoverClaim, HandoverPart } from "../contract/handovers.ts";
import { operations } from "../contract/operations.ts";
import { phoneProtocol } from "../contract/phone-frames.ts";
import { PhoneClaimant, PhoneGrant, PhoneIntroduction } from "../contract/phones.ts";
import { BoxId, type BoxKind } from "../contract/sealed-boxes.ts";
import type { HandoverBox, HashedClaim } from "../durable/handover-box.ts";
import type { PhoneBox } from "../durable/phone-box.ts";
import { hashOf, randomText } from "../pairing/sealing.ts";
import { err, ok, type Result } from "../shared/result.ts";
import {
  authenticateToken,
  type Caller,
  checkIsOwnPage,
  failedAuthentication,
  type OpenHeaders,
  openSocket,
  readBearerToken,
} from "./callers.ts";
import type { AppContext, Env } from "./env.ts";
import { check, errorResponse, readInput } from "./inputs.ts";
import * as tokens from "./tokens.ts";

/**
 * Objects of a workspace for callers without a token. Their names are signed, so that an address
 * invents few. A name that only an earlier secret has signed counts as an invented one, and opens
 * its object all the same.
 */
interface Boxes<Box extends Rpc.DurableObjectBranded> {
  readonly kind: BoxKind;
  readonly namespace: (env: Env) => DurableObjectNamespace<Box>;
  /** Answer to an id that is none. An object refuses a wrong secret with the same code. */
  readonly unknown: Failure;
}

type Answer = Promise<Result<unknown>>;

const signatureChars = 22;

/** No token's payload contains a blank, so neither signature can stand for the other. */
async function signatureOf(secret: string, name: string): Promise<string> {
  return (await tokens.sign(secret, `box ${name}`)).slice(0, signatureChars);
}

/** For a machine of a workspace, which then uses the box. */
export async function createBox({ env }: AppContext, { stub, credentials }: Caller, input: unknown): Promise<Response> {
  const checked = check(operations["boxes.create"].input, input);
  if (!checked.ok) return errorResponse(checked.error);
  const name = randomText(16);
  const id = `${name}${await signatureOf(env.SHIM_SIGNING_SECRET, name)}`;
  return respond(await stub.createBox(credentials, id, checked.value));
}

/** The object that the path names. */
async function boxOf<Box extends Rpc.DurableObjectBranded>(
  context: AppContext,
  { namespace, unknown }: Boxes<Box>,
): Promise<Result<DurableObjectStub<Box>>> {
  const { env, req } = context;
  const id = BoxId.safeParse(req.param("id"));
  if (!id.success) return err(await refusalOfGuess(context, unknown));
  const signature = await signatureOf(env.SHIM_SIGNING_SECRET, id.data.slice(0, -signatureChars));
  const isSigned = await tokens.isSameSecret(signature, id.data.slice(-signatureChars));
  const refused = isSigned ? unknown : await refusalOfGuess(context, unknown);
  return refused === unknown ? ok(namespace(env).getByName(id.data)) : err(refused);
}

/**
 * Only for the token that made the box.
 * @param forMs see `useBox`
 */
async function ofOwner<Box extends Rpc.DurableObjectBranded>(
  context: AppContext,
  { kind, namespace, unknown }: Boxes<Box>,
  act: (box: DurableObjectStub<Box>, until: number) => Answer | Promise<Response>,
  forMs?: number,
): Promise<Response> {
  const caller = await authenticateToken(context, readBearerToken(context), context.req.param("workspace") ?? "");
  if (!caller.ok) return errorResponse(caller.error);
  const id = BoxId.safeParse(context.req.param("id"));
  if (!id.success) return errorResponse(unknown);
  const { stub, credentials } = caller.value;
  const used = await stub.useBox(credentials, { kind, id: id.data }, forMs);
  if (!used.ok) return errorResponse(used.error);
  const answer = await act(namespace(context.env).getByName(id.data), used.value.until);
  return answer instanceof Response ? answer : respond(answer);
}

/** For a caller that shows a secret of which the object has the hash. */
async function ofClaimant<Box extends Rpc.DurableObjectBranded>(
  context: AppContext,
  boxes: Boxes<Box>,
  secret: string,
  act: (box: DurableObjectStub<Box>, hash: string) => Answer,
): Promise<Response> {
  const box = await boxOf(context, boxes);
  if (!box.ok) return errorResponse(box.error);
  const answer = await act(box.value, await hashOf(secret));
  return answer.ok ? respond(answer) : errorResponse(await refuse(context, boxes, answer.error));
}

/** Counts a wrong secret as a failed authentication of its address. */
async function refuse(
  context: AppContext,
  { unknown }: { readonly unknown: Failure },
  refusal: Failure,
): Promise<Failure> {
  return refusal.code === unknown.code ? refusalOfGuess(context, refusal) : refusal;
}

/** @param refusal answer while the address is within its limit */
async function refusalOfGuess(context: AppContext, refusal: Failure): Promise<Failure> {
  const failed = await failedAuthentication(context);
  return failed.code === "rate_limited" ? failed : refusal;
}

function respond(answer: Result<unknown>): Response {
  return answer.ok ? Response.json(answer.value ?? {}) : errorResponse(answer.error);
}

/** A machine of a workspace fills a hand-over; who has its link takes it without a token. */
const handovers: Boxes<HandoverBox> = {
  kind: "handover",
  namespace: (env) => env.HANDOVERS,
  unknown: { code: "unknown_handover", message: "this coordinator has no such hand-over: copy the whole link" },
};

/** A machine of a workspace pairs a phone, which has no token, and both talk through a relay. */
const phones: Boxes<PhoneBox> = {
  kind: "phone",
  namespace: (env) => env.PHONES,
  unknown: { code: "unknown_phone", message: "this coordinator has no such pairing: scan the code again" },
};

type Answerer = (context: AppContext) => Promise<Response>;

/** For the machine that made the box, by a path below its workspace. */
export const ownerRoutes: readonly (readonly [method: string, path: string, answer: Answerer])[] = [
  ["GET", "/handovers/:id", (context) => ofOwner(context, handovers, (box) => box.status())],
  ["PUT", "/handovers/:id/parts/:part", putPart],
  ["GET", "/phones/:id", (context) => ofOwner(context, phones, (box) => box.status())],
  ["PUT", "/phones/:id", grantPhone],
  ["GET", "/phones/:id/connect", (context) => ofOwner(context, phones, (box) => connect(context, box, {}))],
];

/** For who shows a secret of the box. The first machine to show the claim may take a hand-over. */
export const claimantRoutes: typeof ownerRoutes = [
  ["POST", "/handovers/:id/claim", (context) => ofMachine(context, (box, claim) => box.claim(claim))],
  [
    "POST",
    "/handovers/:id/parts/:part",
    (context) => ofMachine(context, (box, claim) => box.read(claim, partOf(context))),
  ],
  ["POST", "/handovers/:id/finish", (context) => ofMachine(context, (box, claim) => box.finish(claim))],
  ["POST", "/phones/:id/introduction", introducePhone],
  ["POST", "/phones/:id/grant", readPhoneGrant],
  ["GET", "/phones/:id", checkPhone],
  ["GET", "/phones/:id/connect", connectPhone],
];

async function putPart(context: AppContext): Promise<Response> {
  const input = await readInput(context, HandoverPart);
  if (!input.ok) return errorResponse(input.error);
  return ofOwner(context, handovers, (box) => box.put(partOf(context), input.value.envelope));
}

function partOf(context: AppContext): number {
  const part = context.req.param("part") ?? "";
  return /^\d{1,3}$/.test(part) ? Number(part) : Number.MAX_SAFE_INTEGER;
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

async function grantPhone(context: AppContext): Promise<Response> {
  const input = await readInput(context, PhoneGrant);
  if (!input.ok) return errorResponse(input.error);
  return ofOwner(context, phones, (box, until) => box.grant(input.value, until), input.value.forMs);
}

async function introducePhone(context: AppContext): Promise<Response> {
  const input = await readInput(context, PhoneIntroduction);
  if (!input.ok) return errorResponse(input.error);
  const { claim, claimant, introduction } = input.value;
  return ofClaimant(context, phones, claim, (box, claimHash) => box.introduce({ claimHash, claimant }, introduction));
}

async function readPhoneGrant(context: AppContext): Promise<Response> {
  const input = await readInput(context, PhoneClaimant);
  if (!input.ok) return errorResponse(input.error);
  const { claim, claimant } = input.value;
  return ofClaimant(context, phones, claim, (box, claimHash) => box.granted({ claimHash, claimant }));
}

/** Whether a phone is still paired. */
function checkPhone(context: AppContext): Promise<Response> {
  return ofClaimant(context, phones, readBearerToken(context) ?? "", (box, accessHash) => box.check(accessHash));
}

/** The phone's end: only for this deployment's own page, with the access secret of the phone. */
async function connectPhone(context: AppContext): Promise<Response> {
  const refused = checkIsOwnPage(context);
  if (refused) return errorResponse(refused);
  const protocols = (context.req.header("sec-websocket-protocol") ?? "").slice(0, 200);
  const [protocol, access = ""] = protocols.split(/, */);
  if (protocol !== phoneProtocol) return errorResponse({ code: "bad_input", message: "this is for a paired phone" });
  const box = await boxOf(context, phones);
  return box.ok ? connect(context, box.value, { "shim-access": await hashOf(access) }) : errorResponse(box.error);
}

async function connect(context: AppContext, box: DurableObjectStub<PhoneBox>, headers: OpenHeaders): Promise<Response> {
  const opened = await openSocket(context, box, headers);
  return opened.ok ? opened.value : errorResponse(await refuse(context, phones, opened.error));
}
