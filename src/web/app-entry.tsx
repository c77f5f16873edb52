import { signal } from "@preact/signals";
import { render, type ComponentType, type JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { localBackend, signIn } from "./local-backend.ts";
import { keptSecret } from "./local-post.ts";
import {
  ageTick,
  changed,
  followAddress,
  backend,
  isEdge,
  isFinding,
  notice,
  query,
  route,
  setLink,
  shownAgain,
} from "./page-state.ts";
import { ConfirmDialog } from "./parts/confirm.tsx";
import { NotLive } from "./parts/live.tsx";
import { Finder } from "./parts/finder.tsx";
import { Navigation } from "./parts/navigation.tsx";
import { sectionOf, titleOf } from "./sections.ts";
import { FleetView } from "./views/fleet.tsx";
import { laterViews, type ViewProps } from "./views/later-views.ts";
import { SignInHere } from "./views/sign-in.tsx";

const ageTickMs = 10_000;

const trouble = signal<string | null>(null);
/** Shown by a phone without its machine. */
const phoneGate = signal<ComponentType | null>(null);

function View({ name, id }: ViewProps & { readonly name: string }): JSX.Element {
  const [Later, setLater] = useState<ComponentType<ViewProps> | null>(null);
  useEffect(() => {
    void laterViews[name]?.().then((found) => setLater(() => found));
  }, []);
  if (Later) return <Later id={id} />;
  return name === "fleet" ? <FleetView /> : <p class="muted">Reading …</p>;
}

function App(): JSX.Element {
  const present = backend.value;
  const { view: asked, id } = route.value;
  const view = Object.hasOwn(laterViews, asked) ? asked : "fleet";
  useEffect(() => {
    const end = new AbortController();
    present?.follow(changed, setLink, end.signal);
    return () => end.abort();
  }, [present]);
  useEffect(() => {
    query.value = "";
    document.title = `${titleOf(view) ?? `${view} ${id.slice(0, 12)}`} - SHIM`;
  }, [view, id]);
  if (!present) return <SignedOut />;
  return (
    <>
      <a class="skip" href="#main" onClick={skip} children="Skip to the view" />
      <Navigation section={sectionOf(view)} />
      <main id="main">
        <NotLive />
        <View key={`${view} ${id}`} name={view} id={id} />
      </main>
      <p class="notice" role="status" children={notice.value} />
      <ConfirmDialog />
      {isFinding.value && <Finder />}
    </>
  );
}

function SignedOut(): JSX.Element {
  const Gate = phoneGate.value;
  if (Gate) return <Gate />;
  return isEdge.value ? <View key="edge" name="edge" id="" /> : <SignInHere trouble={trouble.value} />;
}

/** The fragment belongs to the router. */
function skip(event: Event): void {
  event.preventDefault();
  document.querySelector("h1")?.focus();
}

function onKey(event: KeyboardEvent): void {
  if ((event.ctrlKey || event.metaKey) && event.key === "k") {
    event.preventDefault();
    isFinding.value = true;
  }
  if (event.key === "/" && !isTyping(event.target)) {
    event.preventDefault();
    document.getElementById("search")?.focus();
  }
  if (event.key === "ArrowDown" || event.key === "ArrowUp") moveInList(event);
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof Element && target.matches("input, textarea, select");
}

/** Arrow keys go from one entry of a list or table to the next. */
function moveInList(event: KeyboardEvent): void {
  const present = event.target instanceof Element ? event.target.closest("main li, main tr") : null;
  if (!present || !(event.target instanceof HTMLAnchorElement)) return;
  const next = event.key === "ArrowDown" ? present.nextElementSibling : present.previousElementSibling;
  const link = next?.querySelector("a");
  if (!link) return;
  event.preventDefault();
  link.focus();
}

/** Knows it without a network, too. */
async function isFromWorker(): Promise<boolean> {
  // Links that pair a phone and service workers are of the Worker alone, as is the answer.
  if (location.hash.startsWith("#pair=") || navigator.serviceWorker?.controller) return true;
  return (await fetch("/health").catch(() => null))?.ok ?? false;
}

async function start(): Promise<void> {
  const [, token] = /^#t=([\w-]+)$/.exec(location.hash) ?? [];
  if (token !== undefined) history.replaceState(null, "", location.pathname);
  else isEdge.value = keptSecret() === "" && (await isFromWorker());
  if (isEdge.value) phoneGate.value = await (await import("./phone/start-phone.ts")).startPhone();
  else {
    trouble.value = await signIn(token);
    // Without a secret the first call is refused, which shows how to sign in.
    backend.value = trouble.value === null ? localBackend : null;
  }
  followAddress();
  document.addEventListener("keydown", onKey);
  document.addEventListener("visibilitychange", shownAgain);
  setInterval(() => ageTick.value++, ageTickMs);
  const root = document.getElementById("app");
  root?.replaceChildren();
  if (root) render(<App />, root);
}

void start();
