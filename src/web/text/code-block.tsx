import type { ComponentChildren, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

type Highlight = (text: string, language: string) => ComponentChildren | null;

/** Its languages are as large as the rest of the page: they come after what is to be read. */
let highlighter: Promise<Highlight> | null = null;
const loadHighlighter = async (): Promise<Highlight> => (await import("./highlight.tsx")).highlight;

/** A longer text is shown without colours. */
const maxColouredChars = 20_000;
/** Grammars take the square of the length of such a word. */
const isSlow = /[\w$]{1000}/;

export function CodeBlock({ text, language }: { text: string; language: string }): JSX.Element {
  const [coloured, setColoured] = useState<ComponentChildren | null>(null);
  useEffect(() => {
    if (language === "" || text.length > maxColouredChars || isSlow.test(text)) return;
    let isOver = false;
    highlighter ??= loadHighlighter();
    // Without it the text stays as it is.
    void highlighter.then(
      (highlight) => !isOver && setColoured(highlight(text, language)),
      () => (highlighter = null),
    );
    return () => {
      isOver = true;
    };
  }, [text, language]);
  const label = language === "" ? "Code" : `Code in ${language}`;
  return <pre class="code" tabIndex={0} role="region" aria-label={label} children={<code>{coloured ?? text}</code>} />;
}
