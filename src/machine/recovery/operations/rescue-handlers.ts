import { detailsOf, sessionFilesOf } from "../../../clients/details.ts";
import { hookClients, type HookClient } from "../../../contract/clients.ts";
import type { Diagnosis } from "../../../contract/machine/recovery.ts";
import { systemProcesses } from "../../../platform/processes.ts";
import { shimCommand } from "../../../platform/shim-command.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { messageOf } from "../../../shared/error.ts";
import { uuidv4 } from "../../../shared/ids.ts";
import { err, ok } from "../../../shared/result.ts";
import { projectRoot } from "../../../snapshots/git-head.ts";
import type { Driver } from "../../../store/driver.ts";
import { startMade } from "../relaunch.ts";
import { setAside } from "../rescue/client-files.ts";
import { copyTranscript } from "../rescue/copy-transcript.ts";
import { lostParts } from "../rescue/session-facts.ts";
import { besideOthers, examine, judge, type Evidence, type Finding, type RescueDeps } from "../rescue/diagnose.ts";
import * as sessions from "../../sessions/sessions.ts";
import { checkStores, listStored } from "../stores/check-stores.ts";
import type { HandlerContext, Handlers } from "../handler-context.ts";
import { recordMissed } from "./recovery-handlers.ts";
import { findHere, namesOf } from "../resolve-id.ts";
import { isAlive } from "../../sessions/life/presence.ts";

/** Sessions of a project that a search checks, newest first. */
const maxChecked = 20;

export const rescueHandlers: Pick<Handlers, "recovery.diagnose" | "recovery.rescue"> = {
  "recovery.diagnose": async (context, { session: id, folder, hasFailed }) => {
    const runtime = await context.runtime();
    const deps = depsOf(context, runtime);
    if (deps.versionOf) await recordMissed(context, runtime);
    const diagnose = async (session: sessions.Session, isFailed: boolean) => {
      const evidence = await examine(deps, session, folder);
      const finding = judge(deps, evidence, isFailed);
      return { finding, diagnosis: toDiagnosis(context, runtime, session, evidence, finding) };
    };
    if (id !== undefined) {
      const found = await findHere(context, id);
      if (!found.ok) return found;
      return ok({ diagnosis: (await diagnose(found.value, hasFailed)).diagnosis, healthy: [], scripts: 0 });
    }
    const project = projectRoot(folder) ?? folder;
    const newest = runtime.store.read(
      (sql) => sessions.list(sql, { project, limit: maxChecked }).filter(({ id }) => sessions.hasContent(sql, id)),
      [],
    );
    const scripts = runtime.store.read((sql) => sessions.countFolded(sql, { project }), 0);
    const healthy: Diagnosis[] = [];
    for (const session of newest) {
      const { finding, diagnosis } = await diagnose(session, false);
      if (isBroken(runtime, session, finding)) return ok({ diagnosis, healthy, scripts });
      healthy.push(diagnosis);
    }
    return ok({ diagnosis: null, healthy, scripts });
  },
  /** Another process may have changed what was wrong since. */
  "recovery.rescue": async (context, { session: id, folder, offer, hasFailed }) => {
    const runtime = await context.runtime();
    const found = await findHere(context, id);
    if (!found.ok) return found;
    const session = found.value;
    if (isAlive(runtime, session)) {
      const pid = session.owner ? ` (pid ${session.owner.pid})` : "";
      return err({ code: "still_running", message: `${session.id} still runs${pid}: end that chat first.` });
    }
    const deps = depsOf(context, runtime);
    const evidence = await examine(deps, session, folder);
    const finding = judge(deps, evidence, hasFailed);
    if (!finding.offers.some(({ kind }) => kind === offer))
      return err({ code: "not_offered", message: `nothing to do so for ${session.id}: ${finding.why}.` });
    const done = { session: session.id, copy: null, backup: null };
    try {
      if (offer === "aside" && finding.aside !== null)
        return ok({ ...done, backup: setAside(finding.aside, runtime.now()) });
      if (offer === "unarchive") {
        unarchive(context, session);
        return ok(done);
      }
      return ok({ ...done, copy: await makeCopy(deps, runtime, { session, evidence, finding, folder }) });
    } catch (error) {
      return err({ code: "rescue_failed", message: `${session.id}: ${messageOf(error)}. Nothing was changed.` });
    }
  },
};

/** @throws {Error} where the client does not do it */
function unarchive({ site }: HandlerContext, { id, client }: sessions.Session): void {
  const asked = detailsOf(client)?.sessions?.unarchive?.(id);
  if (asked === undefined) return;
  const ran = site.runQuietly(asked.command, asked.args);
  const what = [asked.command, ...asked.args].join(" ");
  if (ran?.code !== 0) throw new Error(`${what}: ${ran?.text.trim() ?? `${asked.command} is not on the PATH`}`);
}

function depsOf({ site, by }: HandlerContext, { processes }: Pick<Runtime, "processes">): RescueDeps {
  return { env: site.env, processes, versionOf: site.versionOf, ...(by === "live page" ? besideOthers : {}) };
}

/** A chat that runs is in use, whatever its folder or lock say; the API may refuse it then. */
function isBroken(runtime: Runtime, session: sessions.Session, { reason }: Finding): boolean {
  if (reason === null) return false;
  return reason === "poisoned" || reason === "too_large" || !isAlive(runtime, session);
}

function toDiagnosis(
  { site }: HandlerContext,
  runtime: Runtime,
  session: sessions.Session,
  { file, facts, title }: Evidence,
  finding: Finding,
): Diagnosis {
  const isRunning = isAlive(runtime, session);
  const isUnwritten = isRunning && finding.reason === "deleted";
  const { reason, why, offers } = isUnwritten
    ? { ...finding, reason: null, why: `it runs, and no file of ${title} has it yet` }
    : finding;
  const names = namesOf(runtime, session);
  return {
    ...names,
    client: session.client,
    file,
    reason,
    why,
    offers: [...offers],
    isRead: facts !== null,
    lost: facts === null ? 0 : lostParts(facts),
    isAlive: isRunning,
    command: `${shimCommand(site) ?? "shim"} rescue ${names.shortId}`,
  };
}

interface Broken {
  readonly session: sessions.Session;
  readonly evidence: Evidence;
  readonly finding: Finding;
  readonly folder: string;
}

async function makeCopy(deps: RescueDeps, { random }: Runtime, { session, evidence, finding, folder }: Broken) {
  const { id, client } = session;
  const { file, document, moved } = evidence;
  const { until } = finding;
  const cwd = moved?.to ?? session.cwd ?? session.project ?? folder;
  const head = evidence.facts?.isHeadless ? { cwd, at: evidence.facts.oldestAt ?? session.startedAt } : null;
  const otherId = evidence.facts?.otherSession ?? null;
  const { sessions: files, program } = detailsOf(client) ?? {};
  // A client may know no UUID of a newer version.
  const fresh = uuidv4(random(16));
  let made: { session: string; file: string | null };
  if (document && program) {
    const letters = fresh.replaceAll("-", "").slice(-8);
    made = { session: await program.importCopy({ env: deps.env, cwd }, document, until, letters), file: null };
  } else if (file !== null && files) {
    made = {
      session: fresh,
      file: await copyTranscript(files, { file, id, otherId, newId: fresh, until, moved, head }),
    };
  } else throw new Error("there is nothing to copy");
  return { ...made, start: startMade(client, { made: made.session, what: `a copy of ${id}`, cwd }) };
}

export const storesHandlers: Pick<Handlers, "stores.check" | "stores.list"> = {
  "stores.check": async (context, { client, keep, folder }) => {
    const { site, paths } = context;
    const deps = {
      ...depsOf(context, { processes: systemProcesses }),
      now: site.now,
      folder,
      driver: () => driverOf(context),
      keepFolder: paths.kept,
      progress: (name: string, done: number, all: number) => context.passing?.(`${name}: ${done + 1} of ${all}`),
    };
    const checked = await checkStores(deps, { client, keep });
    context.passing?.("");
    return ok(checked);
  },
  "stores.list": async (context, { client }) => {
    const clients = hookClients.filter((one) => client === undefined || one === client);
    const needsDriver = clients.some((one) => sessionFilesOf(one) === null);
    const driver = needsDriver ? await driverOf(context) : null;
    const listed = clients.map((one: HookClient) => listStored(context.site.env, one, driver));
    return ok({
      sessions: listed.flatMap(({ sessions: found }) => found),
      unread: listed.flatMap(({ unread }) => unread),
    });
  },
};

async function driverOf(context: HandlerContext): Promise<Driver> {
  return (await context.runtime()).store.context.driver;
}
