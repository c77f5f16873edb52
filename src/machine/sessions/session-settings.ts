import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { defaults, type Config } from "../../contract/config.ts";
import type { MachineTrial } from "../../contract/learning.ts";
import type { SettingValue } from "../../contract/replay.ts";
import { findParameter, isInRange } from "../../learning/experiments/parameters.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { listKeys, settingAt, withSetting } from "../../shared/setting-keys.ts";
import type { Sql } from "../../shared/sql.ts";
import type { RowOf } from "../../shared/table.ts";
import * as meta from "../../store/meta.ts";
import { covers, isPaused, pauseLookup } from "../../store/pause.ts";
import { sessionSettings, exposures } from "../../store/session-tables.ts";
import { digest } from "./entries.ts";
import * as sessions from "./sessions.ts";

const settings = sessionSettings.pick("at", "changed", "model", "effort");

export type SessionSettings = RowOf<typeof settings>;

/** Choices of fixed names; other texts in the settings may be private. */
const choices: ReadonlySet<string> = new Set(["recovery", "kaizen"]);

const recordedKeys: readonly string[] = listKeys(defaults).filter((key) => {
  const usual = settingAt(defaults, key);
  return typeof usual === "number" || typeof usual === "boolean" || choices.has(key);
});

/** Numbers, switches and choices that differ from the defaults, by key. */
function changedSettings(config: Config): Record<string, SettingValue> {
  const changed = recordedKeys.flatMap((key): [string, SettingValue][] => {
    const value = settingAt(config, key) as SettingValue;
    return value === settingAt(defaults, key) ? [] : [[key, value]];
  });
  return Object.fromEntries(changed);
}

export interface ChatModel {
  readonly model: string | null;
  readonly effort?: string | null;
}

/** Writes only changes of the session's last row. Part of the caller's transaction. */
export function recordSettings(
  sql: Sql,
  now: number,
  sessionId: string,
  config: Config,
  given: ChatModel,
  answered: ServiceArms | null = null,
): void {
  const last = latestSettings(sql, sessionId);
  if (last === null) expose(sql, now, sessionId, answered);
  const changed = changedSettings(sessionConfig(sql, config, sessionId));
  const model = given.model ?? last?.model ?? null;
  const effort = given.effort ?? last?.effort ?? null;
  if (last !== null && isDeepStrictEqual(last, { at: last.at, changed, model, effort })) return;
  sessionSettings.put(sql, { session: sessionId, at: now, changed, model, effort });
}

export function latestSettings(sql: Sql, sessionId: string): SessionSettings | null {
  return settings.select(sql, "WHERE session = ? ORDER BY at DESC LIMIT 1", sessionId)[0] ?? null;
}

interface TrialValue {
  readonly key: string;
  readonly value: number;
}

/** The settings of the machine with what trials change for this session. */
export function sessionConfig(sql: Sql, config: Config, sessionId: string): Config {
  const values = sql.all<TrialValue>(
    `SELECT body ->> '$.key' AS key, body ->> '$.to' AS value FROM exposures JOIN experiments ON id = experiment
     WHERE unit = ? AND arm = 'treatment' AND state = 'canary' ORDER BY id`,
    sessionId,
  );
  return values.filter(isAllowed).reduce((changed, { key, value }) => withSetting(changed, key, value), config);
}

/** A row that no trial of this program could have written changes nothing. */
function isAllowed({ key, value }: TrialValue): boolean {
  const parameter = findParameter(key);
  return parameter !== null && isInRange(parameter, value);
}

/** For work outside a transaction. */
export function withSessionConfig(runtime: Runtime, sessionId: string): Runtime {
  const config = runtime.store.read((sql) => sessionConfig(sql, runtime.config, sessionId), runtime.config);
  return config === runtime.config ? runtime : { ...runtime, config };
}

/** A trial whose canary runs; `provider` is `local`, or a service. */
export type AssignedTrial = Required<Pick<MachineTrial, "id" | "key" | "share" | "salt" | "provider">>;

/** Arms of one session by trial, as a service has answered. */
export interface ServiceArms {
  readonly session: string;
  readonly arms: Readonly<Record<string, string>>;
}

export function listAssigned(sql: Sql): AssignedTrial[] {
  return sql.all<AssignedTrial>(
    `SELECT id, body ->> '$.key' AS key, body ->> '$.share' AS share, body ->> '$.salt' AS salt,
       coalesce(body ->> '$.provider', 'local') AS provider
     FROM experiments WHERE state = 'canary'`,
  );
}

/** Gives a session that begins its arm in each running trial, once. */
function expose(sql: Sql, now: number, sessionId: string, answered: ServiceArms | null): void {
  for (const trial of listAssigned(sql)) {
    const given = answered?.session === sessionId ? (answered.arms[trial.id] ?? null) : null;
    const arm = trial.provider === "local" ? chooseArm(trial, sessionId) : given;
    if (arm === null) continue;
    const exposure = { experiment: trial.id, unit: sessionId, arm, at: now };
    exposures.insert(sql, exposure, "ON CONFLICT (experiment, unit) DO NOTHING");
  }
}

/**
 * The arm of a session; null where it is not in the trial. A larger share adds
 * sessions and moves none, and a session keeps its arm as long as the salt stays. Pure.
 */
export function chooseArm(
  { id, salt, share }: Pick<AssignedTrial, "id" | "salt" | "share">,
  sessionId: string,
): "control" | "treatment" | null {
  const unit = toUnit(salt, sessionId);
  if (fractionOf(`share:${id}:${salt}:${unit}`) >= share) return null;
  return fractionOf(`arm:${id}:${salt}:${unit}`) < 0.5 ? "control" : "treatment";
}

/** A session's name for a service: 128 bits in hexadecimal, which do not show its id. */
export function toUnit(salt: string, sessionId: string): string {
  return sha256(`unit:${salt}:${sessionId}`).toString("hex", 0, 16);
}

/** At least 0, below 1. */
function fractionOf(text: string): number {
  return sha256(text).readUIntBE(0, 6) / 2 ** 48;
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/** The row stays, without the id: the trial has counted the session, or will. */
export function forgetUnit(sql: Sql, sessionId: string): void {
  sql.run("UPDATE exposures SET unit = 'forgotten ' || seq WHERE unit = ?", sessionId);
}

/** A chat may leave its first project; an event during a pause stores only the folder. */
function folderOf(sql: Sql, { id, cwd, project }: Pick<sessions.Session, "id" | "cwd" | "project">): string | null {
  return meta.read(sql, folderKey(id)) ?? cwd ?? project;
}

export function isSessionPaused(sql: Sql, now: number, session: sessions.Session): boolean {
  return isPaused(sql, now, () => folderOf(sql, session));
}

/** Treats a session that is not stored as paused only with every project. */
export function isPausedById(sql: Sql, now: number, sessionId: string): boolean {
  const session = sessions.get(sql, sessionId);
  return session ? isSessionPaused(sql, now, session) : isPaused(sql, now, null);
}

export function setPausedFolder(sql: Sql, sessionId: string, folder: string): void {
  meta.write(sql, folderKey(sessionId), folder);
}

export function clearPausedFolder(sql: Sql, sessionId: string): void {
  meta.remove(sql, folderKey(sessionId));
}

/** Clears those of chats without a row, too: they began in a pause. */
export function clearPausedFoldersIn(sql: Sql, project: string): void {
  for (const { key, value } of meta.listOf(sql, pausedIn)) if (covers(project, value)) meta.remove(sql, key);
}

/** Limits of a transcript's read: its first byte, and the lines to skip. */
export interface PauseReadLimits {
  readonly minOffset?: number;
  readonly isExcluded?: (at: number, cwd: string | null) => boolean;
}

/** Skips what was said during pauses, by the file's mark or a line's time and folder. */
export function pauseReadLimits(
  sql: Sql,
  path: string,
  session: Pick<sessions.Session, "id" | "cwd" | "project">,
): PauseReadLimits {
  const minOffset = transcriptMark(sql, path);
  const isInPause = pauseLookup(sql);
  if (!isInPause) return { minOffset };
  const folder = folderOf(sql, session);
  return { minOffset, isExcluded: (at, cwd) => isInPause(at, [cwd, folder]) };
}

/** @param name the id of a session without a row, or the path of a transcript */
export function markTranscript(sql: Sql, name: string, offset: number): void {
  meta.write(sql, offsetKey(name), String(offset));
}

export function transcriptMark(sql: Sql, name: string): number {
  return Number(meta.read(sql, offsetKey(name)) ?? 0);
}

const pausedIn = "paused_in";

function folderKey(sessionId: string): string {
  return `${pausedIn}:${digest(sessionId)}`;
}

function offsetKey(name: string): string {
  return `transcript_from:${digest(name)}`;
}
