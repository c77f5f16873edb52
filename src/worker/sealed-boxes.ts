import type { Failure } from "../contract/errors.ts";
import { operations } from "../contract/operations.ts";
import { BoxId, type BoxKind } from "../contract/sealed-boxes.ts";
import { hashOf, randomText } from "../pairing/sealing.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { authenticateToken, type Caller, failedAuthentication, readBearerToken } from "./callers.ts";
import type { AppContext } from "./app-context.ts";
import type { Env } from "./env.ts";
import { check, errorResponse } from "./inputs.ts";
import * as tokens from "./tokens.ts";

/**
 * Objects of a workspace for callers without a token. Their names are signed, so that an address
 * invents few. A name that only an earlier secret has signed counts as an invented one, and opens
 * its object all the same.
 */
export interface Boxes<Box extends Rpc.DurableObjectBranded> {
  readonly kind: BoxKind;
  readonly namespace: (env: Env) => DurableObjectNamespace<Box>;
  /** Answer to an id that is none. An object refuses a wrong secret with the same code. */
  readonly unknown: Failure;
}

export type Answer = Promise<Result<unknown>>;

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
export async function boxOf<Box extends Rpc.DurableObjectBranded>(
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
export async function ofOwner<Box extends Rpc.DurableObjectBranded>(
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
export async function ofClaimant<Box extends Rpc.DurableObjectBranded>(
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
export async function refuse(
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
