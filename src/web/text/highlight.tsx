import bash from "highlight.js/lib/languages/bash";
import diff from "highlight.js/lib/languages/diff";
import go from "highlight.js/lib/languages/go";
import java from "highlight.js/lib/languages/java";
import javascript from "highlight.js/lib/languages/javascript";
import json from "highlight.js/lib/languages/json";
import python from "highlight.js/lib/languages/python";
import rust from "highlight.js/lib/languages/rust";
import sql from "highlight.js/lib/languages/sql";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";
import { createLowlight, type LanguageFn } from "lowlight";
import type { ComponentChildren } from "preact";

/** The library's own grammar is a list of all names, which is larger than the others together. */
const css: LanguageFn = (library) => ({
  name: "CSS",
  contains: [
    library.C_BLOCK_COMMENT_MODE,
    library.APOS_STRING_MODE,
    library.QUOTE_STRING_MODE,
    { scope: "keyword", match: /@[a-z-]+/ },
    { scope: "variable", match: /--[\w-]+/ },
    { scope: "attribute", match: /\b[a-z-]+(?=:)/ },
    { scope: "number", match: /#[\da-f]{3,8}\b|\b\d+(?:\.\d+)?(?:[a-z]+|%)?/i },
    { scope: "selector-class", match: /\.[a-z_][\w-]*/i },
  ],
});

const known = { bash, css, diff, go, java, javascript, json, python, rust, sql, typescript, xml, yaml };
const lowlight = createLowlight(known);

type Nodes = ReturnType<typeof lowlight.highlight>["children"];

/** @returns null: a language that is not known here */
export function highlight(text: string, language: string): ComponentChildren | null {
  const name = language.toLowerCase();
  return lowlight.registered(name) ? nodesOf(lowlight.highlight(name, text).children) : null;
}

function nodesOf(nodes: Nodes): ComponentChildren {
  return nodes.map((node) => {
    if (node.type === "text") return node.value;
    if (node.type !== "element") return null;
    const { className } = node.properties;
    return <span class={Array.isArray(className) ? className.join(" ") : ""}>{nodesOf(node.children)}</span>;
  });
}
