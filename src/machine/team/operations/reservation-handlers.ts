import { isAbsolute, join } from "node:path";
import type { ReservedFile } from "../../../contract/machine/team.ts";
import { err, fail, ok, type Result } from "../../../shared/result.ts";
import { formatResource, toRealLeasePath, FileReservations, type ReservationError } from "../file-reservations.ts";
import type { Reservation } from "../../sessions/reservation-table.ts";
import type { HandlerContext, Handlers } from "../../recovery/handler-context.ts";
import type { Failure } from "../../../contract/errors.ts";
import type { Self } from "../../../contract/values.ts";
import { age } from "../../../shared/format.ts";
import { projectRoot } from "../../../snapshots/git-head.ts";
import * as sessions from "../../sessions/sessions.ts";
import { readProjectFacts, projectKey } from "../../sharing/find-project.ts";
import { createNaming } from "../chat-directory.ts";
import type { Workspace } from "../../sharing/operations/workspace.ts";

export const reservationHandlers = {
  async "reservations.list"(context, { folder }) {
    const workspace = await context.workspace.open();
    if (!workspace.ok) return workspace;
    const opened = await openProjectReservations(workspace.value, folder, null);
    if (!opened.ok) return opened;
    const { root, project, files, toOperationError } = opened.value;
    const found = await files.list(project);
    return found.ok
      ? ok({ project: root, files: await view(context, found.value) })
      : err(toOperationError(found.error));
  },
  "reservations.create": (context, { folder, paths, forMs }) =>
    withPaths(context, folder, paths, async ({ project, files, toOperationError }, leasePaths) => {
      const reserved = await files.reserve(project, leasePaths, forMs);
      if (!reserved.ok) return err(toOperationError(reserved.error));
      return ok({ forMs, files: await view(context, reserved.value) });
    }),
  "reservations.release": (context, { folder, paths }) =>
    withPaths(context, folder, paths, async ({ project, files, toOperationError }, leasePaths) => {
      const reserved = await files.listOwn(project);
      if (!reserved.ok) return err(toOperationError(reserved.error));
      const paths = reserved.value.map(({ resource }) => formatResource(resource));
      const chosen = leasePaths.length === 0 ? paths : paths.filter((path) => leasePaths.includes(path));
      if (chosen.length === 0) {
        const message = "the command line has reserved none of these here; `shim team files list` shows who has.";
        return fail("not_found", message);
      }
      const released = await files.release(project, chosen);
      return released.ok ? ok({ released: chosen }) : err(toOperationError(released.error));
    }),
} satisfies Partial<Handlers>;

async function view(context: HandlerContext, found: readonly Reservation[]): Promise<ReservedFile[]> {
  const now = (await context.runtime()).now();
  return found.map(({ resource, holder, holderName, machine, since }) => ({
    path: formatResource(resource),
    chat: holder,
    name: holderName || null,
    machine: machine || null,
    heldForMs: now - since,
    resource,
  }));
}

async function withPaths<T>(
  context: HandlerContext,
  folder: string,
  given: readonly string[],
  body: (reservations: ProjectReservations, leasePaths: readonly string[]) => Promise<Result<T>>,
): Promise<Result<T>> {
  const workspace = await context.workspace.open();
  if (!workspace.ok) return workspace;
  const leasePaths = toLeasePaths(
    folder,
    given.map((path) => (isAbsolute(path) ? path : join(folder, path))),
  );
  if (!leasePaths.ok) return leasePaths;
  const opened = await openProjectReservations(workspace.value, folder, () => workspace.value.self());
  return opened.ok ? body(opened.value, leasePaths.value) : opened;
}

/** A chat's reservations in the project of a folder. */
export interface ProjectReservations {
  readonly root: string;
  /** The coordinator's name for the project. */
  readonly project: string;
  readonly files: FileReservations;
  readonly toOperationError: (error: Failure | ReservationError) => Failure;
}

/**
 * For the command line.
 *
 * @param asChat asked for once the project is known; null: only looks, and makes no store
 *   just to keep the project's name for its hooks
 */
async function openProjectReservations(
  workspace: Workspace,
  folder: string,
  asChat: (() => Promise<Result<Self>>) | null,
): Promise<Result<ProjectReservations>> {
  const root = projectRoot(folder);
  if (root === null) return fail("bad_input", `${folder} is not in a project: run this in a project's folder.`);
  const runtime = await workspace.runtime();
  const { machine, client, scope, isEdge } = workspace;
  const naming = createNaming(runtime, scope);
  const isUnkept = asChat === null && !isEdge && !runtime.store.exists();
  const project = isUnkept
    ? ok(projectKey(null, await readProjectFacts(runtime.env, root, machine)))
    : await naming.project(root);
  if (!project.ok) return fail("no_key", `the project has no name in the workspace: ${project.error}.`);
  const self = asChat === null ? ok(null) : await asChat();
  if (!self.ok) return self;
  const identify = async (chat: string): Promise<{ name: string; machine: string; checkout: string }> => {
    const session = runtime.store.read((sql) => sessions.get(sql, chat), null);
    const title = session && sessions.displayTitle(session);
    const found = await client.call("chats.get", { chat });
    if (!found.ok) return { name: title ?? "", machine: "", checkout: "" };
    return {
      name: title ?? naming.titleOf(found.value) ?? found.value.client,
      machine: found.value.machine,
      checkout: "",
    };
  };
  const files = new FileReservations({
    runtime,
    link: client,
    directory: { identify },
    workspace: scope.workspace,
    self: self.value,
    /** Hooks of this machine's chats read these at once, other processes soon after. */
    shownAs: { holderName: "the user, by the command line", checkout: root },
  });
  const toOperationError = (error: Failure | ReservationError): Failure =>
    ("holder" in error ? explain(error, self.value, runtime.now()) : null) ?? workspace.toOperationError(error);
  return ok({ root, project: project.value, files, toOperationError });
}

function explain({ code, holder }: ReservationError, self: Self | null, now: number): Failure | null {
  if (holder === null) return null;
  const path = formatResource(holder.resource);
  if (holder.holder === self?.chat) {
    const message = `the command line has already reserved ${path}, which overlaps. Release that first.`;
    return { code, message };
  }
  const { holderName: name, machine } = holder;
  const who = [name === "" ? [] : `"${name}"`, `chat ${holder.holder}`, machine === "" ? [] : `on ${machine}`];
  const ask = `Ask with \`shim team send ${holder.holder} "..."\``;
  return { code, message: `${path} is reserved by ${who.flat().join(", ")}, for ${age(now - holder.since)}. ${ask}.` };
}

/** @param paths absolute */
function toLeasePaths(folder: string, paths: readonly string[]): Result<string[]> {
  const root = projectRoot(folder) ?? folder;
  const found: string[] = [];
  for (const one of paths) {
    const path = toRealLeasePath(root, one);
    if (!path.ok) return fail("bad_input", `${path.error}.`);
    found.push(path.value);
  }
  return ok(found);
}
