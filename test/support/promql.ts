const KEYWORDS = new Set(
  "and or unless by without on ignoring group_left group_right offset bool atan2 inf nan start end".split(" "),
);

/** Names of the series that an expression reads. */
export function metricsIn(expression: string): string[] {
  const bare = withoutStrings(expression)
    .replace(/\{[^}]*\}/g, " ")
    .replace(/\[[^\]]*\]/g, " ")
    .replace(/\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/gi, " ")
    .replace(/\boffset\s+\S+/gi, " ");
  const words = [...bare.matchAll(/(?<![\w:.$])[a-zA-Z_:][\w:]*(?!\s*\()(?![\w:])/g)].map(([word]) => word);
  return [...new Set(words.filter((word) => !KEYWORDS.has(word.toLowerCase())))];
}

/** Names of the labels that an expression matches or groups by. */
export function labelsIn(expression: string): string[] {
  const bare = withoutStrings(expression);
  const matched = [...bare.matchAll(/\{([^}]*)\}/g)].flatMap(([, matchers]) =>
    [...matchers!.matchAll(/([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)/g)].map(([, label]) => label!),
  );
  const grouped = [...bare.matchAll(/\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)/gi)].flatMap(
    ([, labels]) => labels!.split(",").map((label) => label.trim()),
  );
  return [...new Set([...matched, ...grouped].filter((label) => label !== ""))];
}

function withoutStrings(expression: string): string {
  return expression.replace(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/g, '""');
}
