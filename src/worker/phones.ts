import type { Refusal } from "../contract/errors.ts";
import { phoneProtocol } from "../contract/phone-frames.ts";
import { NewPhone, PhoneClaimant, PhoneGrant, PhoneId, PhoneIntroduction } from "../contract/phones.ts";
import type { HashedClaimant, PhoneBox } from "../durable/phone-box.ts";
import { isFromPage } from "../shared/page-security.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { ownOrigin, readBearerToken, type AppContext } from "./callers.ts";
import { errorResponse, readInput } from "./inputs.ts";
import { isOwnId, makeId, ownerOf, refuseGuess, respond, type BoxAnswer } from "./sealed-boxes.ts";
import * as tokens from "./tokens.ts";

/** A machine of a workspace pairs a phone, which has no token, and both talk through a relay. */

const kind = "phone";

export async function createPhone(context: AppContext): Promise<Response> {
  const owner = await ownerOf(context);
  if (!owner.ok) return errorResponse(owner.error);
  const input = await readInput(context, NewPhone);
  if (!input.ok) return errorResponse(input.error);
  const id = await makeId(context.env.SHIM_SIGNING_SECRET, kind);
  await context.env.PHONES.getByName(id).create(owner.value, input.value.claimHash, input.value.forMs);
  return Response.json({ id });
}

export function readPhone(context: AppContext): Promise<Response> {
  return ofOwner(context, (box, owner) => box.status(owner));
}

export async function grantPhone(context: AppContext): Promise<Response> {
  const input = await readInput(context, PhoneGrant);
  if (!input.ok) return errorResponse(input.error);
  return ofOwner(context, (box, owner) => box.grant(owner, input.value));
}

export function removePhone(context: AppContext): Promise<Response> {
  return ofOwner(context, (box, owner) => box.remove(owner));
}

type Box = DurableObjectStub<PhoneBox>;

/** Only for the token that has made it. */
async function ofOwner(context: AppContext, act: (box: Box, owner: string) => BoxAnswer): Promise<Response> {
  const owner = await ownerOf(context);
  if (!owner.ok) return errorResponse(owner.error);
  const box = await boxOf(context);
  return box.ok ? respond(await act(box.value, owner.value)) : errorResponse(box.error);
}

export async function introducePhone(context: AppContext): Promise<Response> {
  const input = await readInput(context, PhoneIntroduction);
  if (!input.ok) return errorResponse(input.error);
  const { introduction, ...shown } = input.value;
  return ofClaimant(context, shown, (box, phone) => box.introduce(phone, introduction));
}

export async function readPhoneGrant(context: AppContext): Promise<Response> {
  const input = await readInput(context, PhoneClaimant);
  if (!input.ok) return errorResponse(input.error);
  return ofClaimant(context, input.value, (box, phone) => box.granted(phone));
}

/** Whether a phone is still paired. */
export async function checkPhone(context: AppContext): Promise<Response> {
  const box = await boxOf(context);
  if (!box.ok) return errorResponse(box.error);
  const answer = await box.value.check(await tokens.hashOf(readBearerToken(context) ?? ""));
  return answer.ok ? respond(answer) : errorResponse(await refuseGuess(context, answer.error));
}

async function ofClaimant(
  context: AppContext,
  { claim, claimant }: PhoneClaimant,
  act: (box: Box, phone: HashedClaimant) => BoxAnswer,
): Promise<Response> {
  const box = await boxOf(context);
  if (!box.ok) return errorResponse(box.error);
  const answer = await act(box.value, { claimHash: await tokens.hashOf(claim), claimant });
  return !answer.ok && answer.error.code === "unknown_phone"
    ? errorResponse(await refuseGuess(context, answer.error))
    : respond(answer);
}

/** The machine's end of the relay. */
export async function connectMachine(context: AppContext): Promise<Response> {
  const owner = await ownerOf(context);
  return owner.ok ? connect(context, { "shim-owner": owner.value }) : errorResponse(owner.error);
}

/** The phone's end: only for this deployment's own page, with the access secret of the phone. */
export async function connectPhone(context: AppContext): Promise<Response> {
  const { req } = context;
  const sender = { origin: req.header("origin"), fetchSite: req.header("sec-fetch-site") };
  if (!isFromPage(sender, [ownOrigin(context)]))
    return errorResponse({ code: "forbidden", message: "sockets are not open to other web pages" });
  const [protocol, access = ""] = (req.header("sec-websocket-protocol") ?? "").slice(0, 200).split(/, */);
  if (protocol !== phoneProtocol) return errorResponse({ code: "bad_input", message: "this is for a paired phone" });
  return connect(context, { "shim-access": await tokens.hashOf(access) });
}

async function connect(context: AppContext, headers: Readonly<Record<string, string>>): Promise<Response> {
  if (context.req.header("upgrade")?.toLowerCase() !== "websocket")
    return errorResponse({ code: "bad_input", message: "connect is only for WebSockets" });
  const box = await boxOf(context);
  if (!box.ok) return errorResponse(box.error);
  const response = await box.value.fetch("https://phone/connect", { headers: { upgrade: "websocket", ...headers } });
  if (response.status === 101) return response;
  const refusal = await response.json<Refusal>();
  return errorResponse(refusal.code === "unknown_phone" ? await refuseGuess(context, refusal) : refusal);
}

const unknown: Refusal = {
  code: "unknown_phone",
  message: "this is no pairing of this coordinator: scan the code again",
};

async function boxOf(context: AppContext): Promise<Result<Box, Refusal>> {
  const id = PhoneId.safeParse(context.req.param("id"));
  const isOwn = id.success && (await isOwnId(context, kind, id.data));
  return isOwn ? ok(context.env.PHONES.getByName(id.data)) : err(await refuseGuess(context, unknown));
}
