import type { TranscriptPart } from "../../clients/transcript.ts";
import type { TranscriptTurnEnd } from "../../clients/transcript/transcript-draft.ts";
import type { Trigger } from "../../contract/checkpoint.ts";
import type { HookEvent } from "../../contract/hooks.ts";
import type { Acceptance } from "../../machine/recovery/given-context.ts";
import type { CallNotes } from "../../machine/sessions/call-notes.ts";
import type { Claim } from "../../machine/sessions/recoveries.ts";
import type { AskedPermission } from "../../machine/sessions/requests.ts";
import type { ServiceArms } from "../../machine/sessions/session-settings.ts";
import type { Session, SessionChange } from "../../machine/sessions/sessions.ts";
import type { Delivery } from "../../machine/team/deliver-news.ts";
import type { EditVerdict } from "../../machine/team/file-guard.ts";
import type { IdentifiedEvent, StoredParts } from "./known-session.ts";

/** Text of the transcript that is read with an event. */
export interface EventTranscript {
  /** The part before the event; null: there is none, or it is not read with the event. */
  readonly part: TranscriptPart | null;
  /** End of the turn before; null also within a turn. */
  readonly turnEnd: TranscriptTurnEnd | null;
  /** The part is too long, and is read after the answer. */
  readonly isBehind: boolean;
}

/** An event with all that is known of it before it is recorded. */
export interface Recording extends IdentifiedEvent, EventTranscript {
  readonly session: Session;
  /** Row before the event; null for a new session. */
  readonly before: Session | null;
  /** The claim that the event ends; null: it ends none. */
  readonly claim: Claim | null;
  /** Arms that a service has given the session that begins. */
  readonly arms: ServiceArms | null;
}

export interface StartedSession extends Pick<Recording, "session" | "before" | "claim"> {
  readonly source: string;
}

/** Findings of the concerns of an event, each for those after it and for the answer. */
export interface Draft {
  /** Changes of the session's row. */
  readonly changes: SessionChange[];
  /** Deeds of the call; absent: the event is of none. */
  call?: CallNotes;
  verdict: EditVerdict;
  /** Tool calls that only the transcript has. */
  missed: number;
  /** Whether the event is new, as far as known: some events are not stored. */
  isNew: boolean;
  start: StartedSession | null;
  accepted: Acceptance | null;
  news: Delivery | null;
  /** Lines for the user. */
  conflict: string | null;
  warning: string | null;
  /** Why a checkpoint is due at once. */
  trigger: Trigger | null;
  /** A permission that the client asks its user for. */
  asked: AskedPermission | null;
}

/**
 * Parts that only some events have: text of the transcript, the end of a turn in it, an effort, a
 * session that is over.
 */
export type EventPart = "part" | "turnEnd" | "effort" | "ending";

/** One thing that SHIM does with events, in the transaction that records them. */
export interface Concern {
  readonly name: string;
  /** Events, and parts of any event; absent: all. */
  readonly on?: readonly (HookEvent | EventPart)[];
  /** The store, or the event, has one of these parts for the session; absent: it need not. */
  readonly has?: readonly (keyof StoredParts | "compactions")[];
  /** Events from the spool count, too: their answers are not read. */
  readonly isForLate: boolean;
  /** Runs again where the transaction does: it takes nothing from memory. */
  readonly inTransaction: (event: Recording, draft: Draft) => void;
}
