import * as z from "zod";
import { Workspace } from "../contract/values.ts";
import { messageOf } from "../shared/error.ts";
import type { Env } from "./env.ts";
import { logProblem } from "../durable/log-problem.ts";

const Token = z.object({ workspace: Workspace });

export const deadLetterQueue = "shim-dispatch-dead";

/** An overloaded object must not be retried at once (Durable Objects error handling). */
const overloadedSeconds = 10;
const failedSeconds = 2;

/** Acknowledges a message only after the object of its workspace has answered. */
export async function consume(batch: MessageBatch, env: Env): Promise<void> {
  const groups = new Map<string, Message[]>();
  for (const message of batch.messages) {
    const token = Token.safeParse(message.body);
    if (token.success) groups.set(token.data.workspace, [...(groups.get(token.data.workspace) ?? []), message]);
    else {
      // No task is lost by it: a message only reminds a workspace to dispatch.
      const { id, body } = message;
      logProblem("a queue message cannot be read", { id, queue: batch.queue, body: formatBody(body) });
      message.ack();
    }
  }
  const isDead = batch.queue === deadLetterQueue;
  await Promise.all([...groups].map(([workspace, messages]) => dispatchWorkspace(env, workspace, messages, isDead)));
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

const maxShownChars = 500;

/** A body may hold what JSON cannot: a cycle, a bigint. */
function formatBody(body: unknown): string {
  try {
    return (JSON.stringify(body) ?? String(body)).slice(0, maxShownChars);
  } catch {
    return `${Object.prototype.toString.call(body)}, which JSON cannot show`;
  }
}
