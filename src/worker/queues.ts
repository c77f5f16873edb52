import * as z from "zod";
import { Workspace } from "../contract/workspaces.ts";
import { messageOf } from "../shared/error.ts";
import type { Env } from "../durable/env.ts";
import { logProblem } from "../durable/log-problem.ts";
import { quarantineOf } from "./callers.ts";

/** The consumer of the dispatch queue: a token makes its workspace look at its tasks. Retries and delays of tasks are the object's alone. */

/** What a message says. Unknown fields are those of a newer program. */
const Token = z.object({ workspace: Workspace });

export const deadLetterQueue = "shim-dispatch-dead";

/** An overloaded object must not be asked again at once (Cloudflare, Durable Objects error handling). */
const overloadedSeconds = 10;
const failedSeconds = 2;

/** [QU3] One call for each workspace of a batch; a message is acknowledged only when its object has answered. */
export async function consume(batch: MessageBatch, env: Env): Promise<void> {
  const groups = new Map<string, Message[]>();
  const unreadable: Message[] = [];
  for (const message of batch.messages) {
    const token = Token.safeParse(message.body);
    if (token.success) groups.set(token.data.workspace, [...(groups.get(token.data.workspace) ?? []), message]);
    else unreadable.push(message);
  }
  const isDead = batch.queue === deadLetterQueue;
  const dispatches = [...groups].map(([workspace, messages]) => dispatchWorkspace(env, workspace, messages, isDead));
  await Promise.all([...dispatches, quarantine(env, batch.queue, unreadable)]);
}

async function dispatchWorkspace(
  env: Env,
  workspace: string,
  messages: readonly Message[],
  isDead: boolean,
): Promise<void> {
  const stub = env.COORDINATOR.get(env.COORDINATOR.idFromName(workspace));
  try {
    await (isDead ? stub.lostTokens(messages.length) : stub.dispatch());
    for (const message of messages) message.ack();
  } catch (error) {
    const isOverloaded = (error as { overloaded?: unknown }).overloaded === true;
    logProblem("a dispatch failed", { workspace, error: messageOf(error) });
    for (const message of messages) message.retry({ delaySeconds: isOverloaded ? overloadedSeconds : failedSeconds });
  }
}

/**
 * [QU4] [QU7] What nobody can read goes no second time round: it is kept, and acknowledged then. As it names no workspace it is the whole
 * deployment's. Where it cannot be kept it comes again, as often as the queue allows.
 */
async function quarantine(env: Env, queue: string, messages: readonly Message[]): Promise<void> {
  if (messages.length === 0) return;
  const unreadable = messages.map(({ id, body }) => ({ id, queue, body: formatBody(body) }));
  for (const one of unreadable) logProblem("a message of the queue cannot be read", one);
  try {
    await quarantineOf(env).keep(unreadable);
    for (const message of messages) message.ack();
  } catch (error) {
    logProblem("messages were not set aside", { queue, error: messageOf(error) });
    for (const message of messages) message.retry({ delaySeconds: failedSeconds });
  }
}

const maxShownChars = 500;

/** A message may hold what JSON has not: a circle, a bigint. */
function formatBody(body: unknown): string {
  try {
    return (JSON.stringify(body) ?? String(body)).slice(0, maxShownChars);
  } catch {
    return `${Object.prototype.toString.call(body)}, which JSON cannot show`;
  }
}
