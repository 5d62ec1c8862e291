/**
 * Text with each key of the table replaced by its value everywhere; throws for a key that does not occur, so that a test
 * of a changed file never runs on the wrong text.
 */
export function substitute(text: string, table: Readonly<Record<string, string>>): string {
  return Object.entries(table).reduce((result, [from, to]) => {
    if (!result.includes(from)) throw new Error(`Cannot replace ${JSON.stringify(from)}: the text does not contain it`);
    return result.replaceAll(from, to);
  }, text);
}
