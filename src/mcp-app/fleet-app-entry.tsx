import { render, type ComponentType, type JSX } from "preact";
import { useEffect } from "preact/hooks";
import {
  ageTick,
  changed,
  host,
  isLive,
  linkTo,
  notice,
  openView,
  query,
  route,
  shownAgain,
} from "../web/page-state.ts";
import { ConfirmDialog } from "../web/parts/confirm.tsx";
import { ChatView } from "../web/views/chat.tsx";
import { DeadView } from "../web/views/dead.tsx";
import { FilesView } from "../web/views/files.tsx";
import { FleetView } from "../web/views/fleet.tsx";
import { PlanView } from "../web/views/plan.tsx";
import { TaskView } from "../web/views/task.tsx";
import { TasksView } from "../web/views/tasks.tsx";
import { ClientLink } from "./client-link.ts";
import { ToolHost } from "./tool-host.ts";

const ageTickMs = 10_000;
const protocolVersion = "2026-01-26";

const titles: Readonly<Record<string, string>> = { fleet: "Fleet", tasks: "Tasks", files: "Files" };
const views: Readonly<Record<string, ComponentType<{ readonly id: string }>>> = {
  chat: ChatView,
  dead: DeadView,
  files: FilesView,
  plan: PlanView,
  task: TaskView,
  tasks: TasksView,
};
/** The navigation's entry of a view that has none of its own. */
const sections: Readonly<Record<string, string>> = { chat: "fleet", task: "tasks", dead: "tasks", plan: "tasks" };

interface Client {
  readonly hostCapabilities?: { readonly serverTools?: object };
  readonly hostContext?: Context;
}

interface Context {
  readonly theme?: unknown;
}

function App({ tools }: { tools: ToolHost }): JSX.Element {
  const { view, id } = route.value;
  const View = views[view] ?? FleetView;
  useEffect(() => {
    const end = new AbortController();
    void tools.follow(changed, (state) => (isLive.value = state), end.signal);
    return () => end.abort();
  }, [tools]);
  useEffect(() => void (query.value = ""), [view, id]);
  return (
    <>
      <Navigation section={sections[view] ?? view} tools={tools} />
      <main aria-label="SHIM">
        <View key={`${view} ${id}`} id={id} />
      </main>
      <p class="notice" role="status">
        {notice.value}
      </p>
      <ConfirmDialog />
    </>
  );
}

function Navigation({ section, tools }: { section: string; tools: ToolHost }): JSX.Element {
  return (
    <nav aria-label="Views">
      <strong>SHIM</strong>
      {Object.entries(tools.canCall ? titles : {}).map(([name, title]) => (
        <a key={name} href={linkTo(name)} aria-current={name === section ? "page" : undefined}>
          {title}
        </a>
      ))}
      <span class={`live ${isLive.value ? "on" : "off"}`}>{isLive.value ? "live" : "not live"}</span>
      {tools.canCall && (
        <button type="button" onClick={() => tools.readAgain()}>
          Read again
        </button>
      )}
    </nav>
  );
}

function applyContext({ theme }: Context): void {
  if (theme === "light" || theme === "dark") document.documentElement.style.colorScheme = theme;
}

/** The page has no address of its own, so the browser would take a link for one of the client's. */
function followLink(event: MouseEvent): void {
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  const fragment = link?.getAttribute("href");
  if (!fragment?.startsWith("#")) return;
  event.preventDefault();
  openView(fragment);
}

function onKey(event: KeyboardEvent): void {
  if (!(event.ctrlKey || event.metaKey) || event.key !== "k") return;
  event.preventDefault();
  document.getElementById("search")?.focus();
}

/** Most clients let a page write nothing to the clipboard. */
function onRejection(event: PromiseRejectionEvent): void {
  if (!(event.reason instanceof DOMException)) return;
  event.preventDefault();
  notice.value = "This client lets the page copy nothing: select the text.";
}

function reportSize(link: ClientLink): void {
  new ResizeObserver(() => {
    const { width, height } = document.documentElement.getBoundingClientRect();
    link.notify("ui/notifications/size-changed", { width: Math.ceil(width), height: Math.ceil(height) });
  }).observe(document.documentElement);
}

/** [RM19] */
async function start(): Promise<void> {
  let tools: ToolHost | null = null;
  const link = new ClientLink(parent, (method, params) => {
    if (method === "ui/notifications/tool-result") tools?.show(params);
    if (method === "ui/notifications/host-context-changed") applyContext(params);
    if (method === "ui/resource-teardown") void tools?.signOut();
  });
  const { hostCapabilities, hostContext } = await link.request<Client>("ui/initialize", {
    protocolVersion,
    appInfo: { name: "shim-fleet", version: "1" },
    appCapabilities: { availableDisplayModes: ["inline", "fullscreen"] },
  });
  applyContext(hostContext ?? {});
  tools = new ToolHost(link, hostCapabilities?.serverTools !== undefined);
  link.notify("ui/notifications/initialized", {});
  host.value = tools;
  document.addEventListener("click", followLink);
  document.addEventListener("keydown", onKey);
  addEventListener("unhandledrejection", onRejection);
  document.addEventListener("visibilitychange", shownAgain);
  setInterval(() => ageTick.value++, ageTickMs);
  render(<App tools={tools} />, document.body.appendChild(document.createElement("div")));
  reportSize(link);
}

void start();
