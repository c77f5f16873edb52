import * as z from "zod";
import { Workspace } from "../contract/workspaces.ts";
import { messageOf } from "../shared/error.ts";
import type { Env } from "../durable/env.ts";
import { report } from "../durable/report.ts";

/** The consumer of the dispatch queue: a token makes its workspace look at its tasks. Retries and delays of tasks are the object's alone. */

/** What a message says. Unknown fields are those of a newer program. */
const Token = z.object({ workspace: Workspace });

export const deadLetters = "shim-dispatch-dead";

/** An overloaded object must not be asked again at once (Cloudflare, Durable Objects error handling). */
const overloadedSeconds = 10;
const failedSeconds = 2;

/** [QU3] One call for each workspace of a batch; a message is acknowledged only when its object has answered. */
export async function consume(batch: MessageBatch, env: Env): Promise<void> {
  const groups = new Map<string, Message[]>();
  for (const message of batch.messages) {
    const token = Token.safeParse(message.body);
    if (token.success) groups.set(token.data.workspace, [...(groups.get(token.data.workspace) ?? []), message]);
    else setAside(message);
  }
  const isDead = batch.queue === deadLetters;
  await Promise.all([...groups].map(([workspace, messages]) => look(env, workspace, messages, isDead)));
}

async function look(env: Env, workspace: string, messages: readonly Message[], isDead: boolean): Promise<void> {
  const stub = env.COORDINATOR.get(env.COORDINATOR.idFromName(workspace));
  try {
    await (isDead ? stub.lostTokens(messages.length) : stub.dispatch());
    for (const message of messages) message.ack();
  } catch (error) {
    const isOverloaded = (error as { overloaded?: unknown }).overloaded === true;
    report("a dispatch failed", { workspace, error: messageOf(error) });
    for (const message of messages) message.retry({ delaySeconds: isOverloaded ? overloadedSeconds : failedSeconds });
  }
}

/** [QU4] What nobody can read goes no second time round. */
function setAside(message: Message): void {
  report("a message of the queue cannot be read", {
    id: message.id,
    body: JSON.stringify(message.body)?.slice(0, 500),
  });
  message.ack();
}
