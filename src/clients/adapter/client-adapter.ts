import type { UsageLimit } from "../../contract/at-limit.ts";
import type { HookClient } from "../../contract/clients.ts";
import type { HookAnswer } from "../../contract/hook-answer.ts";
import type { HookEvent } from "../../contract/hook-input.ts";
import type { JsonObject } from "../../shared/json-fields.ts";

/** An event in Claude Code's names, which the rest of SHIM reads. */
export interface ClientEvent {
  readonly event: HookEvent;
  /** Checked as a `HookInput` afterwards. */
  readonly input: JsonObject;
}

export interface CommandLine {
  readonly command: string;
  readonly args: readonly string[];
}

export interface HeadlessRun extends CommandLine {
  /** Text on stdin. */
  readonly input: string;
}

/** One client as SHIM knows it. Pure, and small: the hook process loads all of them. */
export interface ClientAdapter {
  readonly name: HookClient;
  readonly title: string;
  /** Version that passed the tests with the real client. */
  readonly verifiedWith: string;
  /** Names of the events that SHIM registers, in the client's own words. */
  readonly events: readonly string[];
  /** Limits of the client's interface, a sentence each. */
  readonly lacks: readonly string[];
  /** The client keeps its conversations where SHIM does not read them. */
  readonly isTranscriptUnread?: true;
  /** One process works in several sessions at once; each has a server, whose calls name it. */
  readonly hasThreads?: true;
  /** Compactions of the client; absent: they keep no prompt and show no summary. */
  readonly compaction?: {
    /** The user's prompts stay beside the summary. */
    readonly keepsPrompts: boolean;
    /** An event after the compaction brings the summary. */
    readonly showsSummary: boolean;
  };
  /** Not each failed call is known as one: its record may lack the exit code. */
  readonly hidesFailures?: true;
  /** A hook before a tool call can have the client ask its user. */
  readonly asksUser?: true;
  /**
   * Reads a usage limit from the client's own record of an error, by codes and fields alone:
   * of its transcript, output or event. Null: another error. Absent: no record has a code for it.
   */
  readonly limitIn?: (error: JsonObject) => UsageLimit | null;
  /** No event says that a chat was closed. */
  readonly endsSilently?: true;
  /**
   * One event for each file that a tool call changes, and none for an event that SHIM does not
   * record. Null: the payload is another client's.
   */
  normalise(event: string, payload: JsonObject, env: NodeJS.ProcessEnv): readonly ClientEvent[] | null;
  /** @param event the client's name of it */
  answer(event: string, answer: HookAnswer): object;
  /** Variables of the environment, by name. */
  readonly variables: {
    /** Settings and credentials that it reads. @param env may choose among them */
    own(env: NodeJS.ProcessEnv): readonly RegExp[];
    /** By which a chat describes itself to what it starts. */
    readonly ofChat: RegExp;
    /** The session's id, for servers and shell commands. */
    readonly session?: `${string}_SESSION_ID`;
  };
  readonly commands: {
    resume(session: string): CommandLine;
    /** @param id a UUID that the client may give its new session */
    start(prompt: string, id: string): CommandLine;
    /** Without a terminal, to its end. @param args the user's own options */
    run(prompt: string, args: readonly string[]): HeadlessRun;
  };
}
