import { existsSync } from "node:fs";
import { adapterOf, titleOf } from "../../clients/adapters.ts";
import type { RescueReason, Start } from "../../contract/machine/recovery.ts";
import type { ClientAdapter } from "../../clients/adapter/client-adapter.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { uuidv4 } from "../../shared/ids.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { examine, judge } from "./rescue/diagnose.ts";
import { lostParts } from "./rescue/session-facts.ts";
import { successorVariable } from "./incomplete/successor.ts";
import { isKept } from "./stores/kept-sessions.ts";
import { givenOrigin, importOrigin, type Session } from "../sessions/sessions.ts";
import type { Brief } from "./brief/brief.ts";
import type { Restoration } from "./incomplete/restoration.ts";

export interface TranscriptCheck {
  readonly isWhole: boolean;
  /** Ends a sentence: "a new chat is started, because ...". */
  readonly reason: string;
}

/** @returns null for an absent name: the session's own client */
export function clientToStart(name: string | undefined): Result<ClientAdapter | null> {
  const client = name === undefined ? null : adapterOf(name);
  if (name === undefined || client?.commands) return ok(client);
  return err({ code: "bad_input", message: `${name} is no client that can be started from a command line.` });
}

export interface RelaunchWay {
  /** Client that continues the session; null: its own. */
  readonly into: ClientAdapter | null;
  /** A new chat begins, also where the old one can be continued. */
  readonly isNew: boolean;
}

/** @returns null for a client that cannot be started from a command line */
export async function planRelaunch(
  runtime: Pick<Runtime, "random" | "env" | "processes">,
  brief: Brief,
  { into, isNew }: RelaunchWay = { into: null, isNew: false },
): Promise<Start | null> {
  const { session, elsewhere } = brief.from;
  const transcript = elsewhere
    ? toBroken(`its transcript is on ${elsewhere.machine}`)
    : isNew
      ? toBroken("that was asked for")
      : await checkTranscript(runtime, session);
  const way = { brief: brief.whole("resume", "hook"), into, cwd: folderOf(brief.from) };
  return planStart(session, transcript, way, runtime);
}

/** Reasons by which the transcript is not whole to its client. */
const lossReasons: ReadonlySet<RescueReason | null> = new Set(["unreadable", "cut_off", "deleted"]);

/** Whether a client can go on with what it keeps, as `shim rescue` finds it. Starts no client. */
export async function checkTranscript(
  { env, processes }: Pick<Runtime, "env" | "processes">,
  session: Session,
): Promise<TranscriptCheck> {
  const { client, origin, transcriptPath: path } = session;
  if (origin === givenOrigin) return toBroken("its transcript is on the machine that handed it over");
  if (origin === importOrigin && path !== null && !isKept(env, client, session.id, path))
    return toBroken("it was read from a file, which its client may not have");
  const deps = { env, processes, versionOf: null };
  const seen = await examine(deps, session, session.cwd ?? session.project ?? "/");
  const { reason, why, offers } = judge(deps, seen, false);
  if (reason === "deleted" && path === null) return toBroken("no transcript of it is known");
  if (lossReasons.has(reason)) {
    const copy = offers.find(({ kind }) => kind === "copy");
    return toBroken(copy === undefined ? why : `${why}; \`shim rescue\` makes ${copy.text}`);
  }
  if (seen.facts === null) return { isWhole: true, reason: "it keeps the chat" };
  if (reason === null) return { isWhole: true, reason: lostParts(seen.facts) > 0 ? why : "its transcript is whole" };
  return { isWhole: true, reason: `its transcript is whole, though ${why}` };
}

/** Returns the folder in which to continue the session; null if it is not here. */
function folderOf({ session, elsewhere }: Restoration): string | null {
  if (elsewhere) return session.project;
  return [session.cwd, session.project].find((folder) => folder !== null && existsSync(folder)) ?? null;
}

interface StartWay {
  readonly brief: string;
  /** Client that continues the session; null: its own. */
  readonly into: ClientAdapter | null;
  readonly cwd: Start["cwd"];
}

/** Returns null for a client that cannot be started from a command line. */
function planStart(
  session: Pick<Session, "id" | "client">,
  transcript: TranscriptCheck,
  { brief, into, cwd }: StartWay,
  { random }: Pick<Runtime, "random">,
): Start | null {
  const adapter = into ?? adapterOf(session.client);
  if (!adapter) return null;
  const { title: client, commands } = adapter;
  const isOther = adapter.name !== session.client;
  if (transcript.isWhole && !isOther) {
    const reason = `${transcript.reason}, so ${client} continues it`;
    return { kind: "resume", client, ...commands.resume(session.id), reason, cwd, env: {}, newId: null };
  }
  const why = isOther || transcript.isWhole ? `the session was ${titleOf(session.client)}'s` : transcript.reason;
  const reason = `a new chat is started with the brief, because ${why}`;
  const newId = uuidv4(random(16));
  return { kind: "new", client, ...commands.start(brief, newId), reason, cwd, ...asSuccessor(newId) };
}

/** Lets the offer name its successor before the chat starts. */
function asSuccessor(newId: string): Pick<Start, "env" | "newId"> {
  return { env: { [successorVariable]: newId }, newId };
}

/** Plans a new chat: the transcript of the session does not end at the prompt. */
export function planFork(session: Session, way: StartWay, runtime: Pick<Runtime, "random">): Start | null {
  const start = planStart(session, toBroken("it is a fork"), way, runtime);
  // A fork is no successor, so no id names one.
  return start && { ...start, env: {}, newId: null };
}

/**
 * The client continues a session that was made of another one.
 *
 * @param what it is
 * @throws {Error} for a client that cannot be started from a command line
 */
export function startMade(
  name: string,
  { made, what, cwd }: { readonly made: string; readonly what: string; readonly cwd: string },
): Start {
  const adapter = adapterOf(name);
  if (!adapter) throw new Error(`${name} cannot be started from a command line`);
  const { title: client, commands } = adapter;
  const reason = `${client} continues ${made}, ${what}`;
  return { kind: "resume", client, ...commands.resume(made), reason, cwd, ...asSuccessor(made) };
}

function toBroken(reason: string): TranscriptCheck {
  return { isWhole: false, reason };
}
