import type { Failure } from "../contract/errors.ts";
import { phoneProtocol } from "../contract/phone-frames.ts";
import { PhoneClaimant, PhoneGrant, PhoneIntroduction } from "../contract/phones.ts";
import type { PhoneBox } from "../durable/phone-box.ts";
import { hashOf } from "../pairing/sealing.ts";
import { isFromPage } from "../shared/page-security.ts";
import { ownOrigin, readBearerToken } from "./callers.ts";
import type { AppContext } from "./app-context.ts";
import { errorResponse, readInput } from "./inputs.ts";
import { boxOf, ofClaimant, ofOwner, refuse, type Boxes } from "./sealed-boxes.ts";

/** A machine of a workspace pairs a phone, which has no token, and both talk through a relay. */
const phones: Boxes<PhoneBox> = {
  kind: "phone",
  namespace: (env) => env.PHONES,
  unknown: { code: "unknown_phone", message: "this coordinator has no such pairing: scan the code again" },
};

export function readPhone(context: AppContext): Promise<Response> {
  return ofOwner(context, phones, (box) => box.status());
}

export async function grantPhone(context: AppContext): Promise<Response> {
  const input = await readInput(context, PhoneGrant);
  if (!input.ok) return errorResponse(input.error);
  return ofOwner(context, phones, (box, until) => box.grant(input.value, until), input.value.forMs);
}

export async function introducePhone(context: AppContext): Promise<Response> {
  const input = await readInput(context, PhoneIntroduction);
  if (!input.ok) return errorResponse(input.error);
  const { claim, claimant, introduction } = input.value;
  return ofClaimant(context, phones, claim, (box, claimHash) => box.introduce({ claimHash, claimant }, introduction));
}

export async function readPhoneGrant(context: AppContext): Promise<Response> {
  const input = await readInput(context, PhoneClaimant);
  if (!input.ok) return errorResponse(input.error);
  const { claim, claimant } = input.value;
  return ofClaimant(context, phones, claim, (box, claimHash) => box.granted({ claimHash, claimant }));
}

/** Whether a phone is still paired. */
export function checkPhone(context: AppContext): Promise<Response> {
  return ofClaimant(context, phones, readBearerToken(context) ?? "", (box, accessHash) => box.check(accessHash));
}

/** The machine's end of the relay. */
export function connectMachine(context: AppContext): Promise<Response> {
  return ofOwner(context, phones, (box) => connect(context, box, {}));
}

/** The phone's end: only for this deployment's own page, with the access secret of the phone. */
export async function connectPhone(context: AppContext): Promise<Response> {
  const { req } = context;
  const sender = { origin: req.header("origin"), fetchSite: req.header("sec-fetch-site") };
  if (!isFromPage(sender, [ownOrigin(context)]))
    return errorResponse({ code: "forbidden", message: "sockets are not open to other web pages" });
  const [protocol, access = ""] = (req.header("sec-websocket-protocol") ?? "").slice(0, 200).split(/, */);
  if (protocol !== phoneProtocol) return errorResponse({ code: "bad_input", message: "this is for a paired phone" });
  const box = await boxOf(context, phones);
  if (!box.ok) return errorResponse(box.error);
  return connect(context, box.value, { "shim-access": await hashOf(access) });
}

async function connect(
  context: AppContext,
  box: DurableObjectStub<PhoneBox>,
  headers: Readonly<Record<string, string>>,
): Promise<Response> {
  if (context.req.header("upgrade")?.toLowerCase() !== "websocket")
    return errorResponse({ code: "bad_input", message: "connect is only for WebSockets" });
  const response = await box.fetch("https://phone/connect", { headers: { upgrade: "websocket", ...headers } });
  if (response.status === 101) return response;
  return errorResponse(await refuse(context, phones, await response.json<Failure>()));
}
