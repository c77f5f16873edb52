import type { Rng } from "../rng.ts";
import type { Client } from "./client.ts";
import { chatActs } from "./chat-acts.ts";
import { leaseActs } from "./lease-acts.ts";
import { messageActs } from "./message-acts.ts";
import { stateActs } from "./state-acts.ts";
import { taskActs } from "./task-acts.ts";

/** Something that a client does of its own accord. All chance comes from the generator that it is given. */
export interface Act {
  readonly name: string;
  /** How often, beside the others. */
  readonly weight: number;
  readonly run: (client: Client, rng: Rng) => void;
}

export const acts: readonly Act[] = [...leaseActs, ...stateActs, ...messageActs, ...chatActs, ...taskActs];

/** Draws by weight. */
export function drawAct(rng: Rng, weights: readonly number[]): Act {
  const sum = weights.reduce((total, weight) => total + weight, 0);
  let left = rng.below(sum);
  for (const [place, act] of acts.entries()) {
    left -= weights[place] ?? 0;
    if (left < 0) return act;
  }
  throw new Error("nothing to draw from");
}
