import ts from 'typescript';
import type { SourceFile } from './source-tree.ts';

export interface FunctionSize {
  readonly path: string;
  readonly name: string;
  readonly line: number;
  readonly lines: number;
}

/**
 * The length of every function. Functions inside it that span several lines are counted by themselves, not twice:
 * a function that returns a handful of small ones is a small class, not a long function.
 */
export function functionSizes(file: SourceFile): FunctionSize[] {
  const source = ts.createSourceFile(file.path, file.text, ts.ScriptTarget.Latest, true);
  const lineOf = (position: number) => source.getLineAndCharacterOfPosition(position).line + 1;
  const sizes: FunctionSize[] = [];
  /** Answers how many lines of functions lie in the node. */
  const visit = (node: ts.Node): number => {
    let inner = 0;
    ts.forEachChild(node, (child) => {
      inner += visit(child);
    });
    if (!ts.isFunctionLike(node) || !('body' in node) || node.body === undefined) return inner;
    const first = lineOf(node.getStart(source));
    const lines = lineOf(node.end) - first + 1;
    sizes.push({ path: file.path, name: nameOf(node, source), line: first, lines: lines - inner });
    return lines > 1 ? lines - 1 : 0;
  };
  visit(source);
  return sizes;
}

function nameOf(node: ts.SignatureDeclaration, source: ts.SourceFile): string {
  if (node.name !== undefined) return node.name.getText(source);
  const { parent } = node;
  return ts.isVariableDeclaration(parent) || ts.isPropertyAssignment(parent)
    ? parent.name.getText(source)
    : 'a function without a name';
}
