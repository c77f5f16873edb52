import type { OutputOf } from "../../contract/operations.ts";
import { readEdgeConfig, type EdgeConfig } from "../../coordinator-client/edge-config.ts";
import type { OperationContext, Workspace } from "../../machine/operations/operation-context.ts";
import { openWorkspace } from "../../machine/operations/workspace.ts";
import { syncStatus } from "../../machine/sharing/sync-status.ts";
import { version } from "../../platform/version.ts";
import { age, pluralize } from "../../shared/format.ts";
import { isRecord } from "../../shared/json-fields.ts";
import { type AllFound, fail, type Found, pass, warn } from "./checks.ts";

/** Checks of a workspace for its operator, each with the figure behind it. */

/** SQLite storage of one Durable Object on the paid plan. */
const objectBytes = 10e9;
/** Prices of Durable Objects as of August 2026, in dollars, and what 5 dollars a month contain. */
const plan = { rows: 50e6, dollarsPerMillionRows: 1, gigabytes: 5, dollarsPerGigabyte: 0.2 };
const lateMs = 60_000;
const waitingSeconds = 3_600;
const unsentMs = 3_600_000;
const skewMs = 5_000;

type Health = OutputOf<"health">;

export async function workspaceChecks(context: OperationContext): Promise<AllFound> {
  const edge = readEdgeConfig(context.paths.home, context.site.env);
  if (!edge.ok) return fail(edge.error, "`shim workspace leave`, then join again.");
  const opened = await openWorkspace(context);
  if (!opened.ok) return fail(opened.error.message, "`shim workspace status` says more.");
  const link = opened.value;
  try {
    return await checksOf(context, link, edge.value);
  } finally {
    link.close();
  }
}

async function checksOf(context: OperationContext, link: Workspace, edge: EdgeConfig | null): Promise<Found[]> {
  const health = await link.call("health", {});
  if (!health.ok)
    return [fail(health.error.message, "Look whether the coordinator runs, and whether the token is valid.")];
  const metrics = await link.call("metrics", {});
  const chats = await link.list("chats.list", {});
  return [
    ...(edge ? await deployment(context, edge) : [named("coordinator", pass("this machine's own"))]),
    named("storage", storage(health.value)),
    named("rows", rows(health.value)),
    named("alarm", alarm(health.value)),
    named("tasks", metrics.ok ? tasks(metrics.value) : warn(metrics.error.message, "Repeat it.")),
    ...(edge ? [named("sync", await sync(context))] : []),
    named("versions", chats.ok ? versions(chats.value) : warn(chats.error.message, "Repeat it.")),
  ];
}

function named(name: string, found: Found): Found {
  return { ...found, name: `workspace:${name}` };
}

/** Version and clock of the Worker. */
async function deployment(context: OperationContext, { url }: EdgeConfig): Promise<Found[]> {
  const { now } = await context.runtime();
  const before = now();
  const answer = await fetch(`${url.replace(/(?<!\/)\/+$/, "")}/health`, { signal: AbortSignal.timeout(10_000) });
  const after = now();
  const body: unknown = await answer.json().catch(() => null);
  const id = isRecord(body) && typeof body["version"] === "string" ? `, deployment ${body["version"]}` : "";
  const coordinator = pass(`${url} answers in ${after - before} ms${id}`);
  const there = isRecord(body) && typeof body["now"] === "number" ? body["now"] : null;
  if (there === null) return [named("coordinator", coordinator)];
  return [named("coordinator", coordinator), named("clock", clock(before - there, after - there))];
}

/** @param least @param most by how much this machine's clock is ahead, in ms */
export function clock(least: number, most: number): Found {
  const bounds = `between ${seconds(least)} and ${seconds(most)} s ahead of the coordinator's`;
  const isOff = least > skewMs || most < -skewMs;
  if (!isOff) return pass(`this machine's clock is ${bounds}`);
  return warn(`this machine's clock is ${bounds}`, "Set it by NTP; leases and ages are judged by the coordinator's.");
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(1);
}

function storage({ storage }: Health): Found {
  if (storage === null) return pass("the size is not measured by this coordinator");
  const { bytes, limitBytes, state } = storage;
  const text = `${megabytes(bytes)} MB of ${megabytes(limitBytes)} MB (an object of Cloudflare holds ${megabytes(objectBytes)} MB)`;
  const fix = "Delete what is not needed, or shorten keepTasksMs and keepSyncMs (`shim team settings`).";
  if (state === "full") return fail(`${text}: growth is refused`, fix);
  return bytes > limitBytes * 0.6 ? warn(text, fix) : pass(text);
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toLocaleString("en-US", { maximumFractionDigits: 1 });
}

function rows({ rowsThisMonth, storage }: Health): Found {
  if (rowsThisMonth === null) return pass("written rows are not counted, and cost nothing here");
  const beyond = Math.max(0, rowsThisMonth - plan.rows) / 1e6;
  const gigabytes = Math.max(0, (storage?.bytes ?? 0) / 1e9 - plan.gigabytes);
  const dollars = beyond * plan.dollarsPerMillionRows + gigabytes * plan.dollarsPerGigabyte;
  const text = `${rowsThisMonth.toLocaleString("en-US")} rows written this month (UTC; up to 1,000 for each start of the object are not counted)`;
  const cost = `with its storage ${dollars.toFixed(2)} dollars beyond the plan's 5; requests and duration are on Cloudflare's bill only`;
  return pass(`${text}: ${cost}`);
}

function alarm({ alarmInMs, overdueRows }: Health): Found {
  const late = Math.max(0, -(alarmInMs ?? 0));
  if (late <= lateMs)
    return pass(`${late === 0 ? "on time" : `${seconds(late)} s late`}, ${pluralize(overdueRows, "row")} due`);
  return warn(
    `${age(late)} late, ${pluralize(overdueRows, "row")} due`,
    "Any request wakes the object; if that does not help, look at its log.",
  );
}

function tasks({ samples }: OutputOf<"metrics">): Found {
  const oldest = samples.find(({ name }) => name === "shim_task_oldest_queued_seconds")?.value;
  if (oldest === undefined || oldest === 0) return pass("no task waits");
  const text = `the oldest queued task waits for ${age(oldest * 1_000)}`;
  return oldest <= waitingSeconds ? pass(text) : warn(text, "`shim task show <task>` says why.");
}

async function sync(context: OperationContext): Promise<Found> {
  const { store, now } = await context.runtime();
  const status = store.read(syncStatus, null);
  if (status === null) return pass("this machine has synced nothing yet");
  const { backlog, oldestAt } = status;
  if (backlog === 0 || oldestAt === null) return pass("everything of this machine is sent");
  const text = `${pluralize(backlog, "change")} of this machine ${backlog === 1 ? "waits" : "wait"}, the oldest for ${age(now() - oldestAt)}`;
  return now() - oldestAt <= unsentMs ? pass(text) : warn(text, "`shim workspace sync` sends them, or says why not.");
}

function versions({ chats }: OutputOf<"chats.list">): Found {
  const live = chats.filter(({ status }) => status !== "offline");
  const counts = new Map<string, Set<string>>();
  for (const { machine, metadata } of live) {
    const of = typeof metadata["version"] === "string" ? metadata["version"] : "unknown";
    counts.set(of, (counts.get(of) ?? new Set<string>()).add(machine));
  }
  const lines = [...counts].map(([of, machines]) => `${of} on ${[...machines].sort().join(", ")}`);
  const text =
    lines.length === 0 ? `no chat is live; this machine has ${version}` : `of live chats: ${lines.join("; ")}`;
  return counts.size <= 1
    ? pass(text)
    : warn(text, "Update the machines with the older version; versions serve each other meanwhile.");
}
