/**
 * Scripts that teach a shell to complete the words of `fwp`. They know nothing themselves: they ask
 * `fwp complete -- <words>`, which prints a line for each possible word, with a tab and its meaning, and the line `:files`
 * where files are possible too. A word that ends in `=` is not finished: no space follows.
 */

/** The line that stands for names of files. */
export const FILES = ':files';

const BASH = `# Completion of fwp for bash. Add to ~/.bashrc: source <(fwp completion bash)
_fwp() {
  local word rest
  COMPREPLY=()
  while IFS=$'\\t' read -r word rest; do
    case $word in
      ${FILES}) compopt -o default ;;
      *=) compopt -o nospace; COMPREPLY+=("$word") ;;
      *) COMPREPLY+=("$word") ;;
    esac
  done < <("\${COMP_WORDS[0]}" complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _fwp fwp
`;

const ZSH = `#compdef fwp
# Completion of fwp for zsh. Add to ~/.zshrc, behind compinit: source <(fwp completion zsh)
_fwp() {
  local -a finished unfinished
  local word meaning files
  while IFS=$'\\t' read -r word meaning; do
    case $word in
      ${FILES}) files=1 ;;
      *=) unfinished+=("$word") ;;
      *) finished+=("\${word//:/\\\\:}\${meaning:+:$meaning}") ;;
    esac
  done < <("$words[1]" complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)
  (( \${#finished} )) && _describe fwp finished
  (( \${#unfinished} )) && compadd -S '' -- "\${unfinished[@]}"
  [[ -n $files ]] && _files
  return 0
}
if [[ \${funcstack[1]} == _fwp ]]; then _fwp "$@"; else compdef _fwp fwp; fi
`;

const FISH = `# Completion of fwp for fish. Run once: fwp completion fish > ~/.config/fish/completions/fwp.fish
function __fwp_complete
  set -l before (commandline -opc)
  set -l current (commandline -ct)
  for line in ($before[1] complete -- $before[2..-1] "$current" 2>/dev/null)
    if test "$line" = ${FILES}
      __fish_complete_path "$current"
    else
      echo -- "$line"
    end
  end
end
complete -c fwp -f -a '(__fwp_complete)'
`;

/** The script for each shell. */
export const SCRIPTS: Readonly<Record<string, string>> = { bash: BASH, zsh: ZSH, fish: FISH };
