import type { Failure } from "../contract/errors.ts";
import { BoxId } from "../contract/sealed-boxes.ts";
import { hashOf, randomText } from "../pairing/sealing.ts";
import { err, fail, ok, type Result } from "../shared/result.ts";
import { authenticateToken, failedAuthentication, readBearerToken } from "./callers.ts";
import type { AppContext } from "./app-context.ts";
import type { Env } from "./env.ts";
import { errorResponse, readInput } from "./inputs.ts";
import * as tokens from "./tokens.ts";

/**
 * Objects outside of a workspace, for callers without a token: their names are signed, so that no
 * invented one reaches an object, and a machine of a workspace owns each.
 */
export interface Boxes<Box extends Rpc.DurableObjectBranded> {
  readonly kind: "handover" | "phone";
  readonly namespace: (env: Env) => DurableObjectNamespace<Box>;
  /** Answer to an id not made here. An object refuses a wrong secret with the same code. */
  readonly unknown: Failure;
}

export type Answer = Promise<Result<unknown>>;

const signatureChars = 22;

/** No token's payload contains a blank, so neither signature can stand for the other. */
async function signatureOf(secret: string, kind: string, name: string): Promise<string> {
  return (await tokens.sign(secret, `${kind} ${name}`)).slice(0, signatureChars);
}

/** @returns the id of a token that may work in the workspace */
export async function ownerOf(context: AppContext): Promise<Result<string>> {
  const caller = await authenticateToken(context, readBearerToken(context), context.req.param("workspace") ?? "");
  if (!caller.ok) return caller;
  const { stub, credentials, claims } = caller.value;
  const isValid = await stub.checkToken(credentials);
  if (!isValid.ok) return isValid;
  if (claims.scope === "work" || claims.scope === "admin") return ok(credentials.id);
  return fail("forbidden", `this needs a token of scope work, and this one has ${claims.scope}`);
}

/** For a machine of a workspace, which then owns the object. */
export async function createBox<Box extends Rpc.DurableObjectBranded, Input>(
  context: AppContext,
  { kind, namespace }: Boxes<Box>,
  schema: Parameters<typeof readInput<Input>>[1],
  begin: (box: DurableObjectStub<Box>, owner: string, input: Input) => Promise<void>,
): Promise<Response> {
  const owner = await ownerOf(context);
  if (!owner.ok) return errorResponse(owner.error);
  const input = await readInput(context, schema);
  if (!input.ok) return errorResponse(input.error);
  const name = randomText(16);
  const id = `${name}${await signatureOf(context.env.SHIM_SIGNING_SECRET, kind, name)}`;
  await begin(namespace(context.env).getByName(id), owner.value, input.value);
  return Response.json({ id });
}

/** The object that the path names. */
export async function boxOf<Box extends Rpc.DurableObjectBranded>(
  context: AppContext,
  { kind, namespace, unknown }: Boxes<Box>,
): Promise<Result<DurableObjectStub<Box>>> {
  const id = BoxId.safeParse(context.req.param("id"));
  const isOwn = id.success && (await isOwnId(context.env, kind, id.data));
  return isOwn ? ok(namespace(context.env).getByName(id.data)) : err(await refusalOfGuess(context, unknown));
}

async function isOwnId(env: Env, kind: string, id: string): Promise<boolean> {
  for (const secret of tokens.signingSecrets(env)) {
    const signature = await signatureOf(secret, kind, id.slice(0, -signatureChars));
    if (await tokens.isSameSecret(signature, id.slice(-signatureChars))) return true;
  }
  return false;
}

/** Only for the token that made the object. */
export async function ofOwner<Box extends Rpc.DurableObjectBranded>(
  context: AppContext,
  boxes: Boxes<Box>,
  act: (box: DurableObjectStub<Box>, owner: string) => Answer,
): Promise<Response> {
  const owner = await ownerOf(context);
  if (!owner.ok) return errorResponse(owner.error);
  const box = await boxOf(context, boxes);
  return box.ok ? respond(await act(box.value, owner.value)) : errorResponse(box.error);
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
