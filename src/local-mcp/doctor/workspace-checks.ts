import type { Failure } from "../../contract/errors.ts";
import * as z from "zod";
import type { Chat } from "../../contract/chats.ts";
import type { Check } from "../../contract/machine/installation.ts";
import type { SyncState } from "../../contract/machine/workspaces.ts";
import type { MetricName } from "../../contract/metrics.ts";
import type { OutputOf } from "../../contract/operations.ts";
import { version as ownVersion } from "../../contract/version.ts";
import { withoutLastSlashes } from "../../coordinator-client/edge/address.ts";
import { readEdgeConfig, type EdgeConfig } from "../../coordinator-client/edge-config.ts";
import type { OperationContext } from "../../machine/context/operation-context.ts";
import type { Workspace } from "../../machine/sharing/operations/workspace.ts";
import { openWorkspace } from "../../machine/sharing/operations/workspace.ts";
import { syncState } from "../../machine/team/operations/workspace-handlers.ts";
import { waitingIn } from "../../machine/sharing/pending-changes.ts";
import { ok, type Result } from "../../shared/result.ts";
import { formatAgo, age, firstOf, oneLine, pluralize } from "../../shared/format.ts";
import { type Checks, fail, type Found, pass, runAll, warn } from "./checks.ts";

/** Checks of a workspace for its operator, each with the figure behind it. */

/** Values beyond which a check fails; those with an alert have its bound. */
const bounds = { storageRatio: 0.7, lateMs: 60_000, queuedMs: 3_600_000, unsentMs: 3_600_000, clockMs: 5_000 };
/** SQLite storage of one Durable Object on the paid plan. */
const objectBytes = 10e9;
/** Prices of Durable Objects as of August 2026, in dollars, and what 5 dollars a month contain. */
const plan = { rows: 50e6, dollarsPerMillionRows: 1, gigabytes: 5, dollarsPerGigabyte: 0.2 };
/** The free plan, for all that an account has: beyond it operations fail. */
const freePlan = { rowsPerDay: 100_000, gigabytes: 5 };
const maxListed = 20;

type Health = OutputOf<"health">;

/** Data that needs no answer of the coordinator; `sync` is null without an edge. */
interface Local {
  readonly sync: SyncState | null;
  readonly calls: ReturnType<typeof waitingIn>;
  readonly now: number;
}

interface Asked extends Local {
  readonly health: Health;
  readonly metrics: Result<OutputOf<"metrics">>;
  readonly chats: Result<OutputOf<"chats.list">>;
  /** Worker of an edge; null: the machine's own coordinator. */
  readonly deployment: Deployment | null;
}

/** Answer of the Worker, between two readings of this machine's clock, in epoch ms. */
interface Deployment {
  readonly url: string;
  readonly sentAt: number;
  readonly receivedAt: number;
  readonly worker: z.infer<typeof WorkerHealth>;
}

/** A coordinator of another version may leave out any of these. */
const WorkerHealth = z.object({
  /** Id of the deployment. */
  version: z.string().nullish(),
  shim: z.string().optional(),
  now: z.number().optional(),
});

const localChecks: Checks<Local> = { "workspace:sync": unsent };
const checks: Checks<Asked> = {
  "workspace:coordinator": coordinator,
  "workspace:clock": clock,
  "workspace:storage": storage,
  "workspace:rows": rows,
  "workspace:alarm": alarm,
  "workspace:tasks": tasks,
  ...localChecks,
  "workspace:versions": versions,
};

/** Checks all; where the coordinator does not answer, only why, and what waits to be sent. */
export async function workspaceChecks(context: OperationContext): Promise<Check[]> {
  const edge = readEdgeConfig(context.paths.home, context.site.env);
  if (!edge.ok) return [{ name: "workspace", ...fail(edge.error, "`shim workspace leave`, then join again.") }];
  const { store } = await context.runtime();
  const local = {
    sync: edge.value && (await syncState(context, edge.value)),
    calls: store.read((sql) => waitingIn(sql, "team_calls"), { count: 0, oldestAt: null }),
    now: context.site.now(),
  };
  const asked = await askWorkspace(context, edge.value);
  if (asked.ok) return runAll(checks, { ...local, ...asked.value });
  return [{ name: "workspace", ...refusal(asked.error, edge.value) }, ...(await runAll(localChecks, local))];
}

type Answers = Omit<Asked, keyof Local>;

async function askWorkspace(context: OperationContext, edge: EdgeConfig | null): Promise<Result<Answers>> {
  const opened = await openWorkspace(context);
  if (!opened.ok) return opened;
  try {
    return await ask(context, opened.value, edge);
  } finally {
    opened.value.close();
  }
}

async function ask(context: OperationContext, link: Workspace, edge: EdgeConfig | null): Promise<Result<Answers>> {
  const health = await link.call("health", {});
  if (!health.ok) return health;
  const metrics = await link.call("metrics", {});
  const chats = await link.list("chats.list", {});
  return ok({ health: health.value, metrics, chats, deployment: edge && (await askWorker(context, edge)) });
}

async function askWorker({ site }: OperationContext, { url }: EdgeConfig): Promise<Deployment> {
  const sentAt = site.now();
  const answer = await fetch(`${withoutLastSlashes(url)}/health`, {
    signal: AbortSignal.timeout(10_000),
  }).catch(() => null);
  const receivedAt = site.now();
  const body: unknown = await answer?.json().catch(() => null);
  return { url, sentAt, receivedAt, worker: WorkerHealth.safeParse(body).data ?? {} };
}

function refusal({ code, message }: Failure, edge: EdgeConfig | null): Found {
  if (edge === null) return fail(message, "`shim doctor` checks this machine.");
  const { url, workspace, machine } = edge;
  const join = `\`shim workspace join ${workspace} --url ${url}\``;
  const renew = `With the admin token \`shim workspace token create --machine ${machine}\`; then, here, ${join}.`;
  const fixes: Readonly<Record<string, string>> = {
    edge_unreachable: `See whether ${url} is the coordinator and this network reaches it. Chats continue; what they send waits here.`,
    unauthenticated: renew,
    forbidden: renew,
    unknown_workspace: `See whether the name and the URL are right, then ${join} with the right ones.`,
  };
  return fail(message, fixes[code] ?? "`shim workspace status` says more.");
}

function coordinator({ deployment }: Asked): Found {
  if (deployment === null) return pass(`this machine's own, SHIM ${ownVersion}`);
  const { url, sentAt, receivedAt, worker } = deployment;
  const id = worker.version ? `, deployment ${oneLine(worker.version, 60)}` : "";
  const versionText = `SHIM ${oneLine(worker.shim ?? "of an unknown version", 40)}${id}; this machine has SHIM ${ownVersion}`;
  const text = `${url} answers in ${receivedAt - sentAt} ms: ${versionText}`;
  if (worker.shim === ownVersion) return pass(text);
  return warn(text, "Update the older one: the coordinator by `npm run deploy`, or SHIM on this machine.");
}

/** The Worker has read its clock between two readings of this machine's. */
function clock({ deployment }: Asked): Found[] {
  const now = deployment?.worker.now;
  if (!deployment || now === undefined) return [];
  const [least, most] = [deployment.sentAt - now, deployment.receivedAt - now];
  const text = `this machine's clock is ${differenceText(least, most)}`;
  const isOff = least > bounds.clockMs || most < -bounds.clockMs;
  return [isOff ? fail(text, "Set it by NTP; leases and ages are judged by the coordinator's.") : pass(text)];
}

function differenceText(least: number, most: number): string {
  if (least > 0) return `${seconds(least)} to ${seconds(most)} s ahead of the coordinator's`;
  if (most < 0) return `${seconds(-most)} to ${seconds(-least)} s behind the coordinator's`;
  return `at most ${seconds(most)} s ahead of the coordinator's, and at most ${seconds(-least)} s behind`;
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(1);
}

function storage({ health: { boxes, storage: stored } }: Asked): Found {
  if (stored === null) return pass("the size is not measured by this coordinator");
  const { bytes, limitBytes, state } = stored;
  const inBoxes = `${boxes.count} hand-overs and phones have ${megabytes(boxes.chars)} MB of it`;
  const text = `${megabytes(bytes)} MB of ${megabytes(limitBytes)} MB (an object of Cloudflare holds ${megabytes(objectBytes)} MB; ${inBoxes})`;
  const isBeyondFree = bytes > freePlan.gigabytes * 1e9;
  const fix = "Delete what is not needed, or shorten keepTasksMs and keepSyncMs (`shim team settings`).";
  if (state === "full") return fail(`${text}: growth is refused`, fix);
  if (bytes > limitBytes * bounds.storageRatio) return fail(`${text}: growth is refused from 80 %`, fix);
  return pass(isBeyondFree ? `${text}, more than the ${freePlan.gigabytes} GB of the free plan` : text);
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toLocaleString("en-US", { maximumFractionDigits: 1 });
}

function rows({ health: { rowsThisMonth, storage: stored }, now }: Asked): Found {
  if (rowsThisMonth === null) return pass("written rows are not counted, and cost nothing here");
  const beyond = Math.max(0, rowsThisMonth - plan.rows) / 1e6;
  const gigabytes = Math.max(0, (stored?.bytes ?? 0) / 1e9 - plan.gigabytes);
  const dollars = beyond * plan.dollarsPerMillionRows + gigabytes * plan.dollarsPerGigabyte;
  const perDay = Math.round(rowsThisMonth / new Date(now).getUTCDate());
  const days = `${perDay.toLocaleString("en-US")} a day, of ${freePlan.rowsPerDay.toLocaleString("en-US")} in the free plan`;
  const text = `${rowsThisMonth.toLocaleString("en-US")} rows written this month (UTC; up to 1,000 for each start of the object are not counted), ${days}`;
  const cost = `by an estimate, with its storage, ${dollars.toFixed(2)} dollars beyond the plan's 5, at prices of August 2026`;
  return pass(`${text}: ${cost}; alarms, rows read, requests and duration are on Cloudflare's bill only`);
}

function alarm({ health: { alarmInMs, overdueRows } }: Asked): Found {
  const late = Math.max(0, -(alarmInMs ?? 0));
  const due = `${pluralize(overdueRows, "row")} due`;
  if (late <= bounds.lateMs) return pass(`${late === 0 ? "on time" : `${seconds(late)} s late`}, ${due}`);
  return fail(`${age(late)} late, ${due}`, "Any request wakes the object; if that does not help, read its log.");
}

function tasks({ metrics }: Asked): Found {
  const queued = valueOf(metrics, "shim_tasks", "queued");
  const oldestMs = valueOf(metrics, "shim_task_oldest_queued_seconds") * 1_000;
  if (queued === 0) return pass("no task waits");
  const text = `${pluralize(queued, "task")} queued, the oldest ready for ${age(oldestMs)}`;
  const fix = "`shim task list --state queued` lists them, `shim task show <task>` says why none takes it.";
  return oldestMs > bounds.queuedMs ? fail(text, fix) : pass(text);
}

function unsent({ sync, calls, now }: Local): Found[] {
  if (sync === null) return [];
  const { problem, status } = sync;
  const times = [status?.oldestAt, calls.oldestAt].filter((at) => typeof at === "number");
  const since = times.length === 0 ? "" : `, the oldest for ${age(now - Math.min(...times))}`;
  const counts = `${pluralize(status?.backlog ?? 0, "change")} of sessions and ${pluralize(calls.count, "call")} of chats`;
  const trouble = status?.notes.trouble;
  const last = trouble ? `; last problem, ${formatAgo(now, trouble.at)}: ${trouble.message}` : "";
  const text = `${counts} of this machine wait${since}${last}`;
  const fix = "`shim workspace sync` sends changes, or says why not; calls go with their open chat.";
  if (now - Math.min(now, ...times) > bounds.unsentMs) return [fail(text, fix)];
  if (problem !== null) return [warn(`${text}; sessions are not synced: ${problem}`, "`shim workspace key set`.")];
  return [pass(text)];
}

/** Versions that the live chats of each machine have registered; the command line's has none. */
function versions({ chats, deployment }: Asked): Found {
  const live = given(chats).chats.filter(({ status }) => status !== "offline");
  const machines = [...Map.groupBy(live, ({ machine }) => machine)].map(([machine, ofMachine]) => ({
    machine: oneLine(machine, 60),
    version: versionOf(ofMachine),
  }));
  const expected = deployment?.worker.shim ?? ownVersion;
  const others = machines.filter(({ version }) => version !== null && version !== expected);
  const listed = [...new Set([...others, ...machines])].map((one) => `${one.machine} ${one.version ?? "unknown"}`);
  const text = machines.length === 0 ? "no chat is live" : `machines with live chats: ${firstOf(listed, maxListed)}`;
  if (others.length === 0) return pass(text);
  const names = firstOf(
    others.map(({ machine }) => machine),
    maxListed,
  );
  return warn(text, `Update SHIM on ${names}, or the coordinator; versions serve each other meanwhile.`);
}

function versionOf(chats: readonly Chat[]): string | null {
  const newestFirst = chats.toSorted((one, other) => one.lastSeenAgeMs - other.lastSeenAgeMs);
  const stated = newestFirst.map(({ metadata }) => metadata["version"]).find((value) => typeof value === "string");
  return stated === undefined ? null : oneLine(stated, 40);
}

function valueOf(metrics: Asked["metrics"], name: MetricName, state?: string): number {
  const samples = given(metrics).samples.filter((one) => one.name === name);
  return samples.find(({ labels }) => state === undefined || labels["state"] === state)?.value ?? 0;
}

/** @throws {Error} where it was refused; the check that needs it then fails */
function given<T>(answer: Result<T>): T {
  if (answer.ok) return answer.value;
  throw new Error(answer.error.message);
}
