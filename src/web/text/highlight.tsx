import bash from "highlight.js/lib/languages/bash";
import diff from "highlight.js/lib/languages/diff";
import go from "highlight.js/lib/languages/go";
import json from "highlight.js/lib/languages/json";
import python from "highlight.js/lib/languages/python";
import rust from "highlight.js/lib/languages/rust";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";
import { createLowlight } from "lowlight";
import type { ComponentChildren } from "preact";

/** Others would be larger than what the page may load in all. */
const lowlight = createLowlight({ bash, diff, go, json, python, rust, typescript, xml, yaml });
/** The grammar of TypeScript reads JavaScript, too. */
lowlight.registerAlias("typescript", ["javascript", "js", "jsx", "mjs", "cjs"]);

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
