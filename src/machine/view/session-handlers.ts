import { toViews } from "../recovery/other-machines.ts";
import { redact } from "../../redaction/redact.ts";
import { messageOf } from "../../shared/error.ts";
import { oneLine } from "../../shared/format.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { fail, ok, type Result } from "../../shared/result.ts";
import * as textIndex from "../../store/text-index.ts";
import * as checkpoints from "../sessions/checkpoints/checkpoints.ts";
import { findIncomplete } from "../recovery/incomplete/detect.ts";
import { promptNumbers } from "../files/moments.ts";
import { findSnapshot, readContent } from "../sessions/session-content.ts";
import * as sessions from "../sessions/sessions.ts";
import type { Handlers } from "../recovery/handler-context.ts";
import {
  findCheckpoint,
  findSession,
  findSessionOrCheckpoint,
  readSession,
  projectGiven,
  shortCheckpoint,
  unlessElsewhere,
  namesOf,
} from "../recovery/resolve-id.ts";
import { toSessionView, timeline } from "../recovery/session-view.ts";
import type { CheckpointGroup } from "../../contract/machine/sessions.ts";
import type { Sql } from "../../shared/sql.ts";
import { shortCheckpointId, shownNames } from "../sessions/session-identity.ts";
import { findElsewhere, listElsewhere, projectOf } from "../recovery/elsewhere/candidates.ts";
import { isAlive } from "../sessions/life/presence.ts";

const maxFoundPerSession = 2;
const maxNameChars = 100;

export const sessionHandlers = {
  async "sessions.list"(context, { project: folder, incomplete, allMachines, scripts: withScripts, limit }) {
    const runtime = await context.runtime();
    const project = projectGiven(runtime, folder);
    const search = omitUndefined({ limit, project, withScripts });
    const views = runtime.store.read((sql) => {
      const rows = incomplete
        ? findIncomplete(sql, runtime, search).map((one) => one.session)
        : sessions.list(sql, search);
      return rows.map((row) => toSessionView(sql, runtime, row));
    }, []);
    const scripts = runtime.store.read((sql) => sessions.countFolded(sql, search), 0);
    const others = allMachines ? await context.others.read(runtime, context.progress) : null;
    if (others === null) return ok({ project: project ?? null, sessions: views, scripts, hasOthers: false });
    const name = project === undefined ? undefined : await projectOf(others, project);
    const seen = incomplete ? await findElsewhere(others, name, limit) : await listElsewhere(others, name, limit);
    return ok({ project: project ?? null, sessions: [...views, ...toViews(runtime, seen)], scripts, hasOthers: true });
  },
  async "sessions.find"(context, { id }) {
    const runtime = await context.runtime();
    const found = findSessionOrCheckpoint(runtime, id);
    if (!found.ok) return unlessElsewhere(context, id, found);
    const { session, checkpoint } = found.value;
    if (!session) return ok({ kind: "checkpoint", id: checkpoint.id, title: null, isAlive: false });
    const title = sessions.displayTitle(session);
    return ok({ kind: "session", id: session.id, title, isAlive: isAlive(runtime, session) });
  },
  "sessions.show": (context, { session: id, limit }) =>
    readSession(context, id, (sql, runtime, session) => {
      const [group] = checkpointGroups(sql, { sessions: [session.id] }, { sessions: 1, perSession: limit });
      const { checkpoints: newest = [], total = 0 } = group ?? {};
      const lines = timeline(readContent(sql, session.id), promptNumbers(sql, session.id));
      return { session: toSessionView(sql, runtime, session), timeline: lines, checkpoints: newest, total };
    }),
  async "sessions.name"({ runtime: load }, { session: id, name: given, clear }) {
    if ((given === undefined) === !clear) return fail("bad_input", "give either a name or --clear.");
    const name = given === undefined ? null : redact(oneLine(given)).text;
    if (name === "") return fail("bad_input", "the name is empty. --clear removes a name.");
    if (name !== null && name.length > maxNameChars)
      return fail("bad_input", `the name is longer than ${maxNameChars} characters.`);
    const runtime = await load();
    const found = findSession(runtime, id);
    if (!found.ok) return found;
    const session = found.value;
    runtime.store.write((sql) => sessions.rename(sql, session.id, name));
    return ok({ ...namesOf(runtime, { ...session, name }), name });
  },
  async "sessions.search"({ runtime: load, call }, { text, session: id, project: folder, since, until, limit }) {
    const runtime = await load();
    const session = id === undefined ? null : findSession(runtime, id);
    if (session && !session.ok) return session;
    const isIndexed = !runtime.store.read(textIndex.hasPending, false);
    const indexed = isIndexed ? ok({}) : await call("sessions.index", {});
    const missing = indexed.ok ? null : indexed.error.message;
    const project = projectGiven(runtime, folder);
    const own = session ? { sessions: [session.value.id] } : {};
    const filter = { text, ...own, ...omitUndefined({ project, since, until }) };
    const limits = { sessions: limit, perSession: session ? limit : maxFoundPerSession };
    return ok({ text, sessions: runtime.store.read((sql) => checkpointGroups(sql, filter, limits), []), missing });
  },
  async "sessions.index"({ runtime }) {
    const { store } = await runtime();
    if (store.read(textIndex.hasPending, false)) store.write(textIndex.indexPending);
    return ok({});
  },
  async "checkpoints.get"({ runtime: load }, { checkpoint: id }) {
    const runtime = await load();
    const found = findCheckpoint(runtime, id);
    if (!found.ok) return found;
    const checkpoint = { ...found.value, shortId: shortCheckpoint(runtime, found.value.id) };
    const read = runtime.store.read<Result<unknown>>((sql) => {
      try {
        return ok(checkpoints.requireState(sql, checkpoint.seq));
      } catch (error) {
        return fail("checkpoint_damaged", `${messageOf(error)}. \`shim doctor\` checks the store.`);
      }
    }, ok(null));
    const snapshot = runtime.store.read((sql) => findSnapshot(sql, checkpoint.id), null);
    return read.ok ? ok({ checkpoint, state: read.value, snapshot: snapshot && { ...snapshot } }) : read;
  },
} satisfies Partial<Handlers>;

/** Each session once, by its newest checkpoint that fits. */
function checkpointGroups(
  sql: Sql,
  filter: checkpoints.CheckpointFilter,
  limits: Readonly<Record<"sessions" | "perSession", number>>,
): CheckpointGroup[] {
  const found = checkpoints.sessionsWith(sql, { ...filter, limit: limits.sessions }, limits.perSession);
  return found.map(({ session: sessionId, total, newest }) =>
    Object.assign(shownNames(sql, sessionId), {
      id: sessionId,
      project: sessions.get(sql, sessionId)?.project ?? null,
      total,
      checkpoints: newest.map((one) =>
        Object.assign(one, {
          shortId: shortCheckpointId(sql, one.id),
          contents: checkpoints.readContents(sql, one),
        }),
      ),
    }),
  );
}
