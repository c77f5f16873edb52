import type { ListedSession } from "../../contract/tools.ts";
import type { Result } from "../../shared/result.ts";
import type { Brief } from "./brief/brief.ts";
import type { Restoration } from "./incomplete/restoration.ts";
import type { Refusal } from "./incomplete/verdict.ts";

/** Sessions of this machine, or of other machines, for a chat or a command of this one. */
export interface RecoverySource {
  /** Those that died unfinished, newest first. */
  list(limit: number): Promise<ListedSession[]>;
  /** Offers the chat the newest of its project; a repetition returns the same one. */
  offer(): Promise<Brief | null>;
  /** Accepts a unique beginning of an id. Null: unknown here. */
  inspect(id: string): Promise<Result<Brief | null, Refusal>>;
  /** Returns why the session cannot be taken, or null. */
  check(from: Restoration): Promise<Refusal | null>;
  /** Makes the session this chat's; a repetition changes nothing. */
  claim(brief: Brief): Promise<Refusal | null>;
  dismiss(session: string): void;
  /** Takes back an offer, a claim or a dismissal. False: there was none. */
  release(session: string): Promise<Result<boolean, Refusal>>;
}
