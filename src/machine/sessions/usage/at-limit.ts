import * as z from "zod";
import { adapterOf, supportedClients, titleOf } from "../../../clients/adapters.ts";
import { claudeCode } from "../../../clients/claude-code/claude-code.ts";
import type { ActiveLimitRule, LimitRule, LimitStep, UsageLimit, Config } from "../../../contract/config.ts";
import { modelFamily } from "../../../contract/metrics.ts";
import { isOnPath } from "../../../platform/program-path.ts";
import { realPath } from "../../../platform/paths.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { pluralize } from "../../../shared/format.ts";
import type { Sql } from "../../../shared/sql.ts";
import { covers, isPaused } from "../../../store/pause.ts";
import { mainWorkTree, projectRoot } from "../../../snapshots/git-head.ts";
import * as recoveries from "../recoveries.ts";
import type { LimitHandOver } from "../recoveries.ts";
import * as sessions from "../sessions.ts";
import { shortSessionId } from "../session-identity.ts";
import { totalCost, usageBy } from "./ledger.ts";
import { failureOf } from "../life/questions.ts";
import * as life from "../life/row.ts";

/** Rules for chats of Claude Code that have reached a usage limit. */

/** The rule of the deepest folder that holds this one or the repository of its worktree. */
export function ruleFor(rules: readonly LimitRule[], folder: string): ActiveLimitRule | null {
  const folders = foldersOf(folder);
  const [deepest] = rules
    .filter((rule) => folders.some((one) => covers(rule.folder, one)))
    .toSorted((one, other) => realPath(other.folder).length - realPath(one.folder).length);
  return deepest === undefined || deepest.order === "off" ? null : deepest;
}

function ruleOf(rules: readonly LimitRule[], { cwd, project }: sessions.Session): ActiveLimitRule | null {
  const folder = cwd ?? project;
  return folder === null ? null : ruleFor(rules, folder);
}

/** With the repository of a linked worktree. */
function foldersOf(folder: string): string[] {
  const root = projectRoot(folder);
  const main = root === null ? null : mainWorkTree(root);
  return main === null ? [folder] : [folder, main];
}

/** Stored: add fields as optional. One time at a limit, until Claude Code works again. */
export const LimitState = z.object({
  /** When the limit was reached, epoch ms. */
  since: z.number(),
  /** By the name of a way: epoch ms until which it is not tried again. */
  closed: z.record(z.string(), z.number()),
  /** Waits in a row for a reset that was not known. */
  waits: z.number(),
  /** Sessions that the rule started. */
  sessions: z.array(z.string()),
});
export type LimitState = z.infer<typeof LimitState>;

export const limitText = "Claude Code has reached its usage limit";
/** Reason of what ends because the user said so. */
export const stoppedText = "you stopped the rule for usage limits";

/** A way other than to wait. */
export type LimitWay = Exclude<LimitStep, "wait">;

/** Name of Claude Code with its usual model among the ways. */
const usual = "usual";

function nameOf(way: LimitWay | null): string {
  if (way === null) return usual;
  return "model" in way ? `model:${way.model}` : `client:${way.client}`;
}

export function titleOfWay(way: LimitWay): string {
  return "model" in way ? `Claude Code with the model ${way.model}` : titleOf(way.client);
}

const firstWaitMs = 300_000;
/** A plan's longest window except the weekly one. */
const maxWaitMs = 18_000_000;
/** A reported reset time may be years away by mistake. */
const maxResetDelayMs = 7 * 86_400_000;
/** The reporter's clock differs from this machine's. */
const resetMarginMs = 2_000;

/** @param waits waits in a row, before this one, for a reset that was not known */
export function waitAtLimit(
  { resetsAtMs }: { readonly resetsAtMs: number | null },
  now: number,
  waits: number,
): { readonly waitMs: number; readonly limits: number } {
  if (resetsAtMs !== null && resetsAtMs > now)
    return { waitMs: Math.min(maxResetDelayMs, resetsAtMs - now + resetMarginMs), limits: waits };
  return { waitMs: Math.min(maxWaitMs, firstWaitMs * 2 ** Math.min(waits, 50)), limits: waits + 1 };
}

/** Claude Code has reached its limit. @param before null: it had worked since */
export function reached(before: LimitState | null, resetsAtMs: number | null, now: number): LimitState {
  const { waitMs, limits } = waitAtLimit({ resetsAtMs }, now, before?.waits ?? 0);
  const state = before ?? { since: now, closed: {}, sessions: [] };
  return { ...state, closed: { ...state.closed, [usual]: now + waitMs }, waits: limits };
}

/** A failed way is not tried again until its own limit, or else Claude Code's, ends. */
export function withoutWay(state: LimitState, way: LimitWay, resetsAtMs: number | null, now: number): LimitState {
  const known = resetsAtMs !== null && resetsAtMs > now ? now + waitAtLimit({ resetsAtMs }, now, 0).waitMs : null;
  return { ...state, closed: { ...state.closed, [nameOf(way)]: known ?? state.closed[usual] ?? now } };
}

/** Ms until Claude Code as usual may be started again. */
export function usualInMs({ closed }: LimitState, now: number): number {
  return Math.max(0, Math.min(maxResetDelayMs + resetMarginMs, (closed[usual] ?? 0) - now));
}

export function withSession(state: LimitState, session: string): LimitState {
  return state.sessions.includes(session) ? state : { ...state, sessions: [...state.sessions, session] };
}

type NextWay =
  /** `way` null: Claude Code as usual, since its limit has ended. */
  { readonly kind: "start"; readonly way: LimitWay | null } | { readonly kind: "wait"; readonly untilMs: number };

/** The first way that is open; else the wait for the first that opens. */
function nextWay({ order }: ActiveLimitRule, { closed }: LimitState, now: number): NextWay {
  const ways: (LimitWay | null)[] = [null, ...order.filter((step) => step !== "wait")];
  const openAt = (way: LimitWay | null): number => closed[nameOf(way)] ?? 0;
  const open = ways.find((way) => openAt(way) <= now);
  return open === undefined ? { kind: "wait", untilMs: Math.min(...ways.map(openAt)) } : { kind: "start", way: open };
}

interface Spent {
  readonly usd: number;
  /** Why that is not all; null: it is. */
  readonly unknown: string | null;
}

/** By the usage ledger. A session that is not recorded has an unknown cost. */
function spentFor({ store, config }: Pick<Runtime, "store" | "config">, state: LimitState): Spent {
  const nothing = { usd: 0, unknown: unseenText(state.sessions) };
  return store.read((sql) => spentIn(sql, config, state), nothing);
}

function spentIn(sql: Sql, { usage }: Config, { since, sessions: ids }: LimitState): Spent {
  const lines = usageBy(sql, { by: "session", since, sessions: ids }, usage);
  const usd = lines.reduce((sum, line) => sum + totalCost(line), 0);
  const tokens = lines.reduce((sum, line) => sum + line.unpricedTokens, 0);
  const unseen = ids.filter((id) => sessions.get(sql, id) === null);
  return { usd, unknown: tokens > 0 ? unpricedText(tokens) : unseenText(unseen) };
}

function unpricedText(tokens: number): string {
  return `${pluralize(tokens, "token")} ${tokens === 1 ? "has" : "have"} no price (\`usage.prices\`)`;
}

function unseenText({ length }: readonly string[]): string | null {
  return length === 0 ? null : `${pluralize(length, "chat")} without SHIM's hooks reported no cost`;
}

/** For a hand-over. */
export function handOver(runtime: Pick<Runtime, "store" | "config">, way: LimitWay, state: LimitState): LimitHandOver {
  return { to: titleOfWay(way), usd: knownUsd(spentFor(runtime, state)) };
}

function knownUsd({ usd, unknown }: Spent): number | null {
  return unknown === null ? usd : null;
}

/** Cost that a hand-over names. */
export function costText({ usd }: Pick<LimitHandOver, "usd">): string {
  return usd === null ? "what was spent for this limit is unknown" : `${usdText(usd)} spent for this limit so far`;
}

const hourMs = 3_600_000;

const noRule = "no rule of this folder (`atLimit`) says to go on";

/** Decision by the rule of a folder; `reason`: it does nothing more for this limit. */
export function decide(
  runtime: Pick<Runtime, "store" | "config" | "now">,
  folder: string,
  state: LimitState,
): { readonly next: NextWay; readonly rule: ActiveLimitRule } | { readonly reason: string } {
  const rule = ruleFor(runtime.config.atLimit, folder);
  if (!rule) return { reason: noRule };
  const next = nextWay(rule, state, runtime.now());
  const reason = whyStop(runtime, folder, rule, state, next.kind === "wait" ? next.untilMs : undefined);
  return reason === null ? { next, rule } : { reason };
}

/**
 * Why the rule does nothing more for this limit; null: it may go on.
 *
 * @param waitUntilMs epoch ms at which it would go on; absent: now
 */
export function whyStop(
  runtime: Pick<Runtime, "store" | "config" | "now">,
  folder: string,
  rule: ActiveLimitRule,
  state: LimitState,
  waitUntilMs?: number,
): string | null {
  const now = runtime.now();
  if (runtime.store.read((sql) => foldersOf(folder).some((one) => isPaused(sql, now, one)), false))
    return "`shim pause` stopped the rule of this folder";
  if ((waitUntilMs ?? now) - state.since >= rule.mostHours * hourMs)
    return `the rule of this folder goes on for at most ${rule.mostHours} h after the limit`;
  if (rule.mostUsd === null || state.sessions.length === 0) return null;
  const { usd, unknown } = spentFor(runtime, state);
  const most = `the rule of this folder allows at most ${usdText(rule.mostUsd)}`;
  if (unknown !== null) return `${most}, and ${unknown}`;
  return usd < rule.mostUsd ? null : `${most}, and ${usdText(usd)} were spent`;
}

function usdText(usd: number): string {
  return `${usd.toFixed(2)} USD`;
}

/** The chat of another client that the rule gave a session to, if it has begun. */
export function successorOf({ store }: Pick<Runtime, "store">, session: string): string | null {
  return store.read((sql) => {
    const by = recoveries.findHandOver(sql, session)?.by ?? null;
    return by !== null && sessions.get(sql, by) !== null ? by : null;
  }, null);
}

const ownFamilies: ReadonlySet<string> = new Set(["opus", "sonnet", "haiku", "fable", "mythos"]);

/** Lists ways that this machine does not have. */
export function limitProblems(rules: readonly LimitRule[], env: NodeJS.ProcessEnv): string[] {
  return rules.flatMap(({ folder, order }) => {
    const ways = order === "off" ? [] : order.filter((step) => step !== "wait");
    return ways.flatMap((way) => wayProblem(way, env) ?? []).map((problem) => `the rule of ${folder}: ${problem}`);
  });
}

function wayProblem(way: LimitWay, env: NodeJS.ProcessEnv): string | null {
  if ("model" in way) {
    const family = modelFamily(way.model.toLowerCase());
    return ownFamilies.has(family) ? null : `"${way.model}" is no model of Claude Code; name haiku, sonnet or opus`;
  }
  const title = titleOfWay(way);
  if (way.client === "claude-code") return "Claude Code is the client at its limit; name a `model`, or another client";
  const commands = adapterOf(way.client)?.commands;
  if (!commands) return `${title} cannot be started from a command line`;
  const program = way.program ?? commands.run("", []).command;
  return isOnPath(program, env) ? null : `${title} is not installed: there is no program ${program}`;
}

type Chat = Pick<sessions.Session, "id" | "readings">;

interface LastLimit extends UsageLimit {
  /** Epoch ms. */
  readonly at: number;
}

/** The usage limit at which a chat has stopped, if nothing has begun since. */
export function limitOf(sql: Sql, { id, readings }: Chat): LastLimit | null {
  const failure = failureOf(life.read(sql, id));
  if (!failure?.limit) return null;
  const { at, limit } = failure;
  const known = readings.limitResetsAt?.value ?? null;
  // An older reading is of a window before this one.
  return { at, resetsAtMs: limit.resetsAtMs ?? (known !== null && known > at ? known : null) };
}

/** The same while it is not known to have ended. */
export function openLimitOf(sql: Sql, session: Chat, now: number): LastLimit | null {
  const limit = limitOf(sql, session);
  return limit && (limit.resetsAtMs ?? Infinity) > now ? limit : null;
}

/**
 * Line for the user of a chat at its limit, without its beginning; null: it is at none, or
 * nothing is known that would help. The PATH of `env` has the other clients.
 */
export function limitLine(
  sql: Sql,
  { config, env, now }: Pick<Runtime, "config" | "env" | "now">,
  session: sessions.Session,
): string | null {
  const { id, client } = session;
  const limit = recoveries.claimOf(sql, id) === null ? openLimitOf(sql, session, now()) : null;
  if (!limit) return null;
  const rule = ruleOf(config.atLimit, session);
  const named =
    rule?.order.flatMap((step) => (typeof step === "object" && "client" in step ? [step.client] : [])) ?? [];
  const others = supportedClients.filter(
    ({ name, commands }) => name !== client && isOnPath(commands.start("", "").command, env),
  );
  const other = others.find(({ name }) => named.includes(name)) ?? others[0];
  const ends = limit.resetsAtMs === null ? [] : [`the limit ends at ${endText(limit.resetsAtMs, now())}.`];
  const goOn = other ? [`Go on now: \`shim resume ${shortSessionId(sql, id)} --in ${other.name}\``] : [];
  return ends.length + goOn.length === 0 ? null : [...ends, ...goOn].join(" ");
}

/**
 * Note for the live page on a session at its limit; null: it is at none. Rules are for Claude
 * Code.
 */
export function limitNote(
  sql: Sql,
  runtime: Pick<Runtime, "config" | "env" | "now">,
  session: sessions.Session,
): { readonly text: string; readonly project: string | null } | null {
  const { config, now } = runtime;
  const { id, client, project } = session;
  const isDismissed = recoveries.claimOf(sql, id)?.is === "dismissed";
  const limit = isDismissed ? null : openLimitOf(sql, session, now());
  if (!limit) return null;
  if (client !== claudeCode.name) {
    const line = limitLine(sql, runtime, session);
    return { text: line === null ? "At its usage limit." : `At its usage limit. ${line}`, project: null };
  }
  const rule = ruleOf(config.atLimit, session);
  if (!rule) return { text: `At its usage limit: ${noRule}.`, project: null };
  const ways = rule.order.map((step) => (step === "wait" ? "wait" : titleOfWay(step))).join(", then ");
  const most = rule.mostUsd === null ? "" : `${usdText(rule.mostUsd)} and `;
  const state = { since: limit.at, closed: {}, waits: 0, sessions: successorsOf(sql, id) };
  const spent = costText({ usd: knownUsd(spentIn(sql, config, state)) });
  const ceilings = `at most ${most}${rule.mostHours} h; ${spent}`;
  return { text: `At its usage limit. The rule of ${rule.folder}: ${ways}; ${ceilings}.`, project };
}

const maxHandOvers = 100;

/** Sessions that were given the work of this one by a rule, one after the other. */
function successorsOf(sql: Sql, session: string): string[] {
  const found: string[] = [];
  for (let id: string | undefined = session; id !== undefined && found.length < maxHandOvers;) {
    id = recoveries.findHandOver(sql, id)?.by;
    if (id !== undefined) found.push(id);
  }
  return found;
}

const dayMs = 86_400_000;

/** Local time, with the date of a day that is not near. */
function endText(at: number, now: number): string {
  const [hours, minutes] = [new Date(at).getHours(), new Date(at).getMinutes()];
  const time = `${hours}:${String(minutes).padStart(2, "0")}`;
  return at - now < dayMs ? time : `${time} on ${new Date(at).toDateString()}`;
}
