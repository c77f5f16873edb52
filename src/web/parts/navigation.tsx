import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { backend, isFinding, isLive, linkTo } from "../page-state.ts";
import { sections, titleOf, type Section } from "../sections.ts";

export function Navigation({ section }: { section: string }): JSX.Element {
  const menu = useRef<HTMLDivElement>(null);
  const { first, more } = sections();
  useEffect(() => menu.current?.hidePopover(), [section]);
  const isInMore = more.some(({ view }) => view === section);
  return (
    <nav aria-label="Views">
      <strong>SHIM</strong>
      {first.map((one) => (
        <LinkTo key={one.view} one={one} section={section} />
      ))}
      <button type="button" class={isInMore ? "here" : ""} popovertarget="more">
        {isInMore ? titleOf(section) : "More"} <span aria-hidden="true">▾</span>
      </button>
      <div id="more" popover="auto" ref={menu}>
        {more.map((one) => (
          <LinkTo key={one.view} one={one} section={section} />
        ))}
        {/* A phone is forgotten in its own view. */}
        {backend.value?.kind !== "phone" && <button type="button" onClick={() => void signOut()} children="Sign out" />}
      </div>
      <span class={`live ${isLive.value ? "on" : "off"}`}>{isLive.value ? "live" : "not live"}</span>
      <button
        type="button"
        class="find"
        onClick={() => (isFinding.value = true)}
        title="Go to … (Ctrl+K)"
        children="Go to …"
      />
    </nav>
  );
}

function LinkTo({ one: { view, title }, section }: { one: Section; section: string }): JSX.Element {
  return (
    <a href={linkTo(view)} aria-current={view === section ? "page" : undefined}>
      {title}
    </a>
  );
}

async function signOut(): Promise<void> {
  await backend.value?.signOut();
  backend.value = null;
}
