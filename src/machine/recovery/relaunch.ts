import { closeSync, existsSync, fstatSync, openSync, readSync } from "node:fs";
import { adapterOf, titleOf } from "../../clients/adapters.ts";
import type { ClientAdapter } from "../../clients/adapter/client-adapter.ts";
import { type OperationResult, err, ok } from "../../shared/result.ts";
import { uuidv4 } from "../../shared/ids.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { sessionFilesOf } from "../../clients/details.ts";
import { isKept } from "../stores/kept-sessions.ts";
import { compressedEnd } from "../../clients/transcript/transcript-file.ts";
import { givenOrigin, importOrigin, type Session } from "../sessions/sessions.ts";
import { codeOf } from "../../shared/error.ts";
import type { Brief } from "./brief/brief.ts";
import type { Restoration } from "./incomplete/restoration.ts";
import { parseObject } from "../../shared/json-fields.ts";

export interface TranscriptCheck {
  readonly isWhole: boolean;
  /** Ends a sentence: "a new chat is started, because ...". */
  readonly reason: string;
}

export interface StartPlan {
  readonly kind: "resume" | "new";
  /** Name of the client for a user. */
  readonly title: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly reason: string;
  /** Successor of the session until the new chat names its own; null: the old session continues. */
  readonly newId: string | null;
}

/** @returns null for an absent name: the session's own client */
export function clientToStart(name: string | undefined): OperationResult<ClientAdapter | null> {
  const client = name === undefined ? null : adapterOf(name);
  if (name === undefined || client?.commands) return ok(client);
  return err({ code: "bad_input", message: `${name} is no client that can be started from a command line.` });
}

export interface NewChat {
  readonly brief: string;
  /** UUIDv4 that lets the offer name its successor before the chat starts. */
  readonly id: string;
}

const whole: TranscriptCheck = { isWhole: true, reason: "its transcript is whole" };

export interface RelaunchWay {
  /** Client that continues the session; null: its own. */
  readonly into: ClientAdapter | null;
  /** A new chat begins, also where the old one can be continued. */
  readonly isNew: boolean;
}

/** The last line of a transcript may hold a tool's whole output. */
const tailBytes = 8_388_608;

/** @returns null for a client that cannot be started from a command line */
export function planRelaunch(
  { random, env }: Pick<Runtime, "random" | "env">,
  brief: Brief,
  { into, isNew }: RelaunchWay = { into: null, isNew: false },
): StartPlan | null {
  const { session, elsewhere } = brief.from;
  const transcript = elsewhere
    ? toBroken(`its transcript is on ${elsewhere.machine}`)
    : isNew
      ? toBroken("that was asked for")
      : (brokenByOrigin(env, session) ?? checkTranscript(session.transcriptPath, session.id, session.client));
  return planStart(session, transcript, { id: uuidv4(random(16)), brief: brief.text("resume") }, into);
}

/** @returns null: its client may have the session */
function brokenByOrigin(env: NodeJS.ProcessEnv, session: Session): TranscriptCheck | null {
  if (session.origin === givenOrigin) return toBroken("its transcript is on the machine that handed it over");
  if (session.origin !== importOrigin || isKeptByClient(env, session)) return null;
  return toBroken("it was read from a file, which its client may not have");
}

/** An imported session whose client has the file that was read. */
function isKeptByClient(env: NodeJS.ProcessEnv, { client, id, transcriptPath: path }: Session): boolean {
  return path === null ? adapterOf(client)?.isTranscriptUnread === true : isKept(env, client, id, path);
}

/** Returns the folder in which to continue the session; null if it is not here. */
export function folderOf({ session, elsewhere }: Restoration): string | null {
  if (elsewhere) return session.project;
  return [session.cwd, session.project].find((folder) => folder !== null && existsSync(folder)) ?? null;
}

/** Pure. Returns null for a client that cannot be started from a command line. */
function planStart(
  session: Pick<Session, "id" | "client">,
  transcript: TranscriptCheck,
  newChat: NewChat,
  into: ClientAdapter | null = null,
): StartPlan | null {
  const client = into ?? adapterOf(session.client);
  if (!client) return null;
  const { title, commands } = client;
  const isOther = client.name !== session.client;
  if (transcript.isWhole && !isOther) {
    const reason = `${transcript.reason}, so ${title} continues it`;
    return { kind: "resume", title, ...commands.resume(session.id), reason, newId: null };
  }
  const why = isOther || transcript.isWhole ? `the session was ${titleOf(session.client)}'s` : transcript.reason;
  const reason = `a new chat is started with the brief, because ${why}`;
  return { kind: "new", title, ...commands.start(newChat.brief, newChat.id), reason, newId: newChat.id };
}

/** Plans a new chat: the transcript of the session does not end at the prompt. */
export function planFork(
  { random }: Pick<Runtime, "random">,
  session: Session,
  text: string,
  into: ClientAdapter | null,
): StartPlan | null {
  const newChat = { brief: text, id: uuidv4(random(16)) };
  return planStart(session, toBroken("it is a fork"), newChat, into);
}

/** Reads only the end, whatever the size; never throws. */
export function checkTranscript(path: string | null, sessionId: string, client = "claude-code"): TranscriptCheck {
  if (path === null) return checkUnread(client);
  if (isCompressed(path)) return { isWhole: true, reason: "its transcript is there, which its client has compressed" };
  let tail: string;
  try {
    tail = readTail(path);
  } catch (error) {
    const isMissing = codeOf(error) === "ENOENT";
    return toBroken(isMissing ? "its transcript is gone" : `its transcript cannot be read (${String(error)})`);
  }
  // Other clients name the session in the path only, some by the first part of its id.
  const isOfSession =
    client === "claude-code"
      ? tail.includes(`"sessionId":${JSON.stringify(sessionId)}`)
      : path.includes(sessionId.slice(0, 8));
  const problem = transcriptProblem(tail, isOfSession, client);
  return problem === null ? whole : toBroken(problem);
}

function isCompressed(path: string): boolean {
  return existsSync(path) ? path.endsWith(compressedEnd) : existsSync(`${path}${compressedEnd}`);
}

function checkUnread(client: string): TranscriptCheck {
  if (adapterOf(client)?.isTranscriptUnread) return { isWhole: true, reason: "it keeps the chat" };
  return toBroken("no transcript of it is known");
}

function transcriptProblem(tail: string, isOfSession: boolean, client: string): string | null {
  if (tail.trim() === "") return "its transcript is empty";
  const rows = tail.trimEnd().split("\n");
  const last = rows.findLastIndex((row) => parseObject(row) !== null);
  if (last < 0) return "no row of its transcript's end can be read";
  const isCut = last < rows.length - 1 && !tail.endsWith("\n");
  if (isCut && sessionFilesOf(client)?.losesAfterCut)
    return "its transcript ends in the middle of a line: `shim rescue` copies the rest";
  return isOfSession ? null : "its transcript is that of another session";
}

function toBroken(reason: string): TranscriptCheck {
  return { isWhole: false, reason };
}

function readTail(path: string): string {
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    const bytes = Buffer.alloc(Math.min(size, tailBytes));
    const read = readSync(file, bytes, 0, bytes.length, size - bytes.length);
    return bytes.subarray(0, read).toString("utf8");
  } finally {
    closeSync(file);
  }
}
