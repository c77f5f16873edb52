import type { MachineOutput } from "../../contract/machine/operations.ts";
import { redact } from "../../redaction/redact.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { messageOf } from "../../shared/error.ts";
import { oneLine } from "../../shared/format.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { err, ok } from "../../shared/result.ts";
import * as textIndex from "../../store/text-index.ts";
import * as checkpoints from "../checkpoints/checkpoints.ts";
import { findIncomplete } from "../recovery/detect.ts";
import { settle } from "./settle.ts";
import { findSnapshot, readContent } from "../sessions/session-content.ts";
import { isAlive } from "../recovery/session-state.ts";
import * as sessions from "../sessions/sessions.ts";
import { visible } from "../../shared/visible-text.ts";
import { checkpointGroups } from "./checkpoint-groups.ts";
import type { Handlers } from "./handlers.ts";
import type { HostResult } from "./host.ts";
import {
  findCheckpoint,
  findSession,
  findSessionOrCheckpoint,
  projectOfFolder,
  shortCheckpoint,
  shortSession,
} from "./resolve-id.ts";
import { toSessionView } from "./session-view.ts";
import { sessionsElsewhere } from "./sessions-elsewhere.ts";
import { timeline } from "./timeline.ts";

const maxFoundPerSession = 2;
const maxNameChars = 100;

export const sessionHandlers: Handlers<
  | "sessions.list"
  | "sessions.find"
  | "sessions.show"
  | "sessions.name"
  | "sessions.search"
  | "sessions.index"
  | "checkpoints.get"
> = {
  async "sessions.list"(context, { project: folder, incomplete, allMachines, limit }) {
    const runtime = await context.runtime();
    await settle(runtime, context.call);
    const project = folder === undefined ? null : projectOfFolder(runtime, folder);
    const search = { limit, ...(project === null ? {} : { project }) };
    const views = runtime.store.read((sql) => {
      const rows = incomplete
        ? findIncomplete(sql, runtime.processes, runtime.now(), search).map((one) => one.session)
        : sessions.list(sql, search);
      return rows.map((row) => toSessionView(sql, runtime, row));
    }, []);
    const filter = { incomplete, project, limit };
    const elsewhere = allMachines ? await sessionsElsewhere(context, runtime, filter) : null;
    return ok({ project, sessions: views, elsewhere });
  },
  async "sessions.find"({ runtime: load }, { id }) {
    const runtime = await load();
    const found = findSessionOrCheckpoint(runtime, id);
    if (!found.ok) return found;
    const { session, checkpoint } = found.value;
    if (!session) return ok({ kind: "checkpoint", id: checkpoint.id, title: null, isAlive: false });
    return ok({
      kind: "session",
      id: session.id,
      title: sessions.displayTitle(session),
      isAlive: isAlive(runtime, session),
    });
  },
  async "sessions.show"({ runtime: load }, { session: id, limit }) {
    const runtime = await load();
    const found = findSession(runtime, id);
    return found.ok ? show(runtime, found.value, limit) : found;
  },
  async "sessions.name"({ runtime: load }, { session: id, name: given, clear }) {
    if ((given === undefined) === !clear) return err({ code: "bad_input", message: "give either a name or --clear." });
    const name = given === undefined ? null : redact(oneLine(visible(given), Number.MAX_SAFE_INTEGER)).text;
    if (name === "") return err({ code: "bad_input", message: "the name is empty. --clear removes a name." });
    if (name !== null && name.length > maxNameChars)
      return err({ code: "bad_input", message: `the name is longer than ${maxNameChars} characters.` });
    const runtime = await load();
    const found = findSession(runtime, id);
    if (!found.ok) return found;
    const session = found.value;
    runtime.store.write((sql) => sessions.rename(sql, session.id, name));
    const title = sessions.displayTitle({ ...session, name });
    return ok({ session: session.id, shortId: shortSession(runtime, session.id), name, title });
  },
  async "sessions.search"({ runtime: load, call }, { text, session: id, project: folder, since, until, limit }) {
    const runtime = await load();
    const session = id === undefined ? null : findSession(runtime, id);
    if (session && !session.ok) return session;
    const isIndexed = !runtime.store.read(textIndex.hasPending, false);
    const indexed = isIndexed ? ok({}) : await call("sessions.index", {});
    const missing = indexed.ok ? null : indexed.error.message;
    const project = folder === undefined ? undefined : projectOfFolder(runtime, folder);
    const filter = { text, ...omitUndefined({ session: session?.value.id, project, since, until }) };
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
    return found.ok ? getCheckpoint(runtime, found.value) : found;
  },
};

function show(runtime: Runtime, session: sessions.Session, limit: number): HostResult<MachineOutput<"sessions.show">> {
  const shown = runtime.store.read((sql) => {
    const [group] = checkpointGroups(sql, { session: session.id }, { sessions: 1, perSession: limit });
    const content = readContent(sql, session.id);
    return content && { content, group, view: toSessionView(sql, runtime, session) };
  }, null);
  if (!shown) return err({ code: "not_found", message: `session ${session.id} was deleted meanwhile.` });
  const { group, content, view } = shown;
  const { checkpoints: newest = [], total = 0 } = group ?? {};
  return ok({ session: view, timeline: timeline(content), checkpoints: newest, total });
}

function getCheckpoint(
  runtime: Runtime,
  checkpoint: checkpoints.Checkpoint,
): HostResult<MachineOutput<"checkpoints.get">> {
  const read = runtime.store.read<HostResult<unknown>>((sql) => {
    try {
      return ok(checkpoints.requireState(sql, checkpoint.seq));
    } catch (error) {
      return err({ code: "checkpoint_damaged", message: `${messageOf(error)}. \`shim doctor\` checks the store.` });
    }
  }, ok(null));
  if (!read.ok) return read;
  const snapshot = runtime.store.read((sql) => findSnapshot(sql, checkpoint.id), null);
  const shortId = shortCheckpoint(runtime, checkpoint.id);
  return ok({ checkpoint: { ...checkpoint, shortId }, state: read.value, snapshot: snapshot && { ...snapshot } });
}
