# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_sync_gib_global_optspecs
    string join \n home= json q/quiet v/verbose h/help V/version
end

function __fish_sync_gib_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_sync_gib_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_sync_gib_using_subcommand
    set -l cmd (__fish_sync_gib_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c sync-gib -n "__fish_sync_gib_needs_command" -l home -d 'Keep all state in DIR; by default in the platform\'s data folder' -r -F
complete -c sync-gib -n "__fish_sync_gib_needs_command" -l json -d 'Print one JSON object, on success and on failure'
complete -c sync-gib -n "__fish_sync_gib_needs_command" -s q -l quiet -d 'Print results and errors only'
complete -c sync-gib -n "__fish_sync_gib_needs_command" -s v -l verbose -d 'Log more to standard error; twice for still more'
complete -c sync-gib -n "__fish_sync_gib_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sync-gib -n "__fish_sync_gib_needs_command" -s V -l version -d 'Print version'
complete -c sync-gib -n "__fish_sync_gib_needs_command" -f -a "setup" -d 'Make the identity, register it with the server, and make a first timeline X'
complete -c sync-gib -n "__fish_sync_gib_needs_command" -f -a "sync" -d 'Bring the local space and the server to the same state'
complete -c sync-gib -n "__fish_sync_gib_needs_command" -f -a "check" -d 'Check that both sides hold the same, without trusting the server'
complete -c sync-gib -n "__fish_sync_gib_needs_command" -f -a "repair" -d 'Repair what is damaged in the space, with the server\'s help'
complete -c sync-gib -n "__fish_sync_gib_needs_command" -f -a "pack" -d 'Pack the space\'s file and give the disk back what it does not need'
complete -c sync-gib -n "__fish_sync_gib_needs_command" -f -a "prune" -d 'Drop the records of old syncs from the space'
complete -c sync-gib -n "__fish_sync_gib_needs_command" -f -a "graph" -d 'Show the dependency graph of an ibGib'
complete -c sync-gib -n "__fish_sync_gib_needs_command" -f -a "new" -d 'Make a timeline, or a stone, from JSON'
complete -c sync-gib -n "__fish_sync_gib_needs_command" -f -a "mut8" -d 'Change the data of a timeline: one more frame'
complete -c sync-gib -n "__fish_sync_gib_needs_command" -f -a "rel8" -d 'Change the relations of a timeline: one more frame'
complete -c sync-gib -n "__fish_sync_gib_needs_command" -f -a "restore" -d 'Restore what an earlier frame held, or one field of it, as a new frame'
complete -c sync-gib -n "__fish_sync_gib_needs_command" -f -a "get" -d 'Print ibGibs as JSON, one a line'
complete -c sync-gib -n "__fish_sync_gib_needs_command" -f -a "put" -d 'Import ibGibs (NDJSON on standard input), all or none'
complete -c sync-gib -n "__fish_sync_gib_needs_command" -f -a "log" -d 'List the frames of a timeline, newest first, or all timelines'
complete -c sync-gib -n "__fish_sync_gib_needs_command" -f -a "merge" -d 'Look at merges'
complete -c sync-gib -n "__fish_sync_gib_needs_command" -f -a "conflicts" -d 'List values that gave way in a merge and were not set again since'
complete -c sync-gib -n "__fish_sync_gib_needs_command" -f -a "serve" -d 'Run the server that other spaces sync with'
complete -c sync-gib -n "__fish_sync_gib_needs_command" -f -a "verify" -d 'Run the phases of the protocol against this build and show what holds'
complete -c sync-gib -n "__fish_sync_gib_needs_command" -f -a "hash" -d 'Print the addresses of ibGibs read as JSON'
complete -c sync-gib -n "__fish_sync_gib_needs_command" -f -a "transform" -d 'Make a new frame from options read as JSON, storing nothing'
complete -c sync-gib -n "__fish_sync_gib_needs_command" -f -a "keystone" -d 'Work on keystones'
complete -c sync-gib -n "__fish_sync_gib_needs_command" -f -a "generate" -d 'Write the shell completions and man pages of this program'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand setup" -l server -d 'The server\'s base URL; it is remembered' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand setup" -l ca-cert -d 'Trust the certificate authority in this PEM file for the server\'s certificate' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand setup" -l data -d 'Make X of this JSON object, from FILE or standard input (`-`); else a test object' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand setup" -l join -d 'Take over the identity with this address from the server, with the same secret' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand setup" -l secret-file -d 'Read the secret from FILE, or from standard input with `-`; one newline at its end is dropped. Without this or --secret-fd, the program asks for it on the terminal' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand setup" -l secret-fd -d 'Read the secret from the open file descriptor N' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand setup" -l recovery-file -d 'Write the recovery code to FILE, which must not be there yet, and do not show it' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand setup" -l home -d 'Keep all state in DIR; by default in the platform\'s data folder' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand setup" -l allow-plaintext -d 'Allow plain http and ws to other hosts: anybody on the way can read everything'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand setup" -l raw-secret -d 'Use the secret as it is, for an identity made elsewhere; else it is stretched (Argon2id)'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand setup" -l allow-weak-secret -d 'Accept a new secret that takes fewer than 2^40 guesses; whoever knows I\'s address can guess'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand setup" -l no-recovery -d 'Make no recovery code: a lost or stolen secret is then the end of the identity'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand setup" -l force -d 'Make a new identity even if there is one; the old one stays in the space, under its address'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand setup" -l json -d 'Print one JSON object, on success and on failure'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand setup" -s q -l quiet -d 'Print results and errors only'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand setup" -s v -l verbose -d 'Log more to standard error; twice for still more'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand setup" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand sync" -l retry-for -d 'Seconds to retry while other devices are faster or the server is busy; 0 for no retry' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand sync" -l max-pull-bytes -d 'Most bytes that one sync may receive' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand sync" -l trace -d 'Write every message, both ways, to FILE as NDJSON, readable by its owner only: the trace of a failed sync contains solutions that are not spent' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand sync" -l secret-file -d 'Read the secret from FILE, or from standard input with `-`; one newline at its end is dropped. Without this or --secret-fd, the program asks for it on the terminal' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand sync" -l secret-fd -d 'Read the secret from the open file descriptor N' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand sync" -l home -d 'Keep all state in DIR; by default in the platform\'s data folder' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand sync" -l pull-only -d 'Fetch only: send nothing'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand sync" -l push-only -d 'Send only: no data changes here; the record of the sync is kept'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand sync" -l dry-run -d 'Print what would move, and move nothing; the session made for this is kept, on both sides'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand sync" -l record -d 'Hold a session even if nothing is new, and keep its record on both sides, as `check` and whoever verifies sessions want it'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand sync" -l fail-on-conflict -d 'Exit with 1 if values gave way in a merge; everything is stored regardless'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand sync" -l json -d 'Print one JSON object, on success and on failure'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand sync" -s q -l quiet -d 'Print results and errors only'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand sync" -s v -l verbose -d 'Log more to standard error; twice for still more'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand sync" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand check" -l secret-file -d 'Read the secret from FILE, or from standard input with `-`; one newline at its end is dropped. Without this or --secret-fd, the program asks for it on the terminal' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand check" -l secret-fd -d 'Read the secret from the open file descriptor N' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand check" -l home -d 'Keep all state in DIR; by default in the platform\'s data folder' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand check" -l local -d 'Check everything in the local space for consistency, without a server'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand check" -l full -d 'Also validate again what an earlier check found valid'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand check" -l json -d 'Print one JSON object, on success and on failure'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand check" -s q -l quiet -d 'Print results and errors only'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand check" -s v -l verbose -d 'Log more to standard error; twice for still more'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand repair" -l secret-file -d 'Read the secret from FILE, or from standard input with `-`; one newline at its end is dropped. Without this or --secret-fd, the program asks for it on the terminal' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand repair" -l secret-fd -d 'Read the secret from the open file descriptor N' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand repair" -l home -d 'Keep all state in DIR; by default in the platform\'s data folder' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand repair" -l json -d 'Print one JSON object, on success and on failure'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand repair" -s q -l quiet -d 'Print results and errors only'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand repair" -s v -l verbose -d 'Log more to standard error; twice for still more'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand repair" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand pack" -l space -d 'Another file than the home\'s, such as a server\'s' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand pack" -l home -d 'Keep all state in DIR; by default in the platform\'s data folder' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand pack" -l json -d 'Print one JSON object, on success and on failure'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand pack" -s q -l quiet -d 'Print results and errors only'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand pack" -s v -l verbose -d 'Log more to standard error; twice for still more'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand pack" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand prune" -l keep -d 'How long they are kept: a number of days (d), hours (h), minutes (m) or seconds (s)' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand prune" -l space -d 'Another file than the home\'s, such as a server\'s' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand prune" -l home -d 'Keep all state in DIR; by default in the platform\'s data folder' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand prune" -l sessions -d 'Drop old sessions, with what was said in them'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand prune" -l json -d 'Print one JSON object, on success and on failure'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand prune" -s q -l quiet -d 'Print results and errors only'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand prune" -s v -l verbose -d 'Log more to standard error; twice for still more'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand prune" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand graph" -l format -d 'The form to print it in' -r -f -a "tree\t'Indented lines; a timeline\'s frames one under the other'
ndjson\t'One ibGib a line, dependencies first'
json\t'One object with all ibGibs'
dot\t'Graphviz'
mermaid\t'Mermaid flowchart'"
complete -c sync-gib -n "__fish_sync_gib_using_subcommand graph" -l secret-file -d 'Read the secret from FILE, or from standard input with `-`; one newline at its end is dropped. Without this or --secret-fd, the program asks for it on the terminal' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand graph" -l secret-fd -d 'Read the secret from the open file descriptor N' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand graph" -l home -d 'Keep all state in DIR; by default in the platform\'s data folder' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand graph" -l live -d 'From each timeline met, go on to its latest tip'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand graph" -l stats -d 'Count instead of print'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand graph" -l full -d 'Print whole addresses in the tree, not the first 8 characters of the gib'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand graph" -l remote -d 'Ask the server, not the local space; what it sends is hashed and checked here'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand graph" -l json -d 'Print one JSON object, on success and on failure'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand graph" -s q -l quiet -d 'Print results and errors only'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand graph" -s v -l verbose -d 'Log more to standard error; twice for still more'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand graph" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand new" -l ib -d 'What it says of itself; it descends from the primitive of its first word' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand new" -l data -d 'Its data, a JSON object (any JSON for a stone), from FILE or standard input (`-`)' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand new" -l rel8 -d 'Relate it to ADDR under NAME; repeatable' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand new" -l home -d 'Keep all state in DIR; by default in the platform\'s data folder' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand new" -l stone -d 'Make a stone, not a timeline'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand new" -l json -d 'Print one JSON object, on success and on failure'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand new" -s q -l quiet -d 'Print results and errors only'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand new" -s v -l verbose -d 'Log more to standard error; twice for still more'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand new" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand mut8" -l set -d 'Set a key to JSON, or to text where VALUE is no JSON; repeatable' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand mut8" -l data -d 'Set what this JSON object holds, from FILE or standard input (`-`)' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand mut8" -l remove -d 'Remove a key; repeatable' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand mut8" -l rename -d 'Rename a key; repeatable' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand mut8" -l ib -d 'Give it another ib' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand mut8" -l home -d 'Keep all state in DIR; by default in the platform\'s data folder' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand mut8" -l force -d 'Make a frame even if nothing changes'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand mut8" -l json -d 'Print one JSON object, on success and on failure'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand mut8" -s q -l quiet -d 'Print results and errors only'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand mut8" -s v -l verbose -d 'Log more to standard error; twice for still more'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand mut8" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand rel8" -l add -d 'Relate the timeline to ADDR under NAME; repeatable' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand rel8" -l remove -d 'Take ADDR out of the relation NAME; repeatable' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand rel8" -l home -d 'Keep all state in DIR; by default in the platform\'s data folder' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand rel8" -l force -d 'Make a frame even if nothing changes'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand rel8" -l json -d 'Print one JSON object, on success and on failure'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand rel8" -s q -l quiet -d 'Print results and errors only'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand rel8" -s v -l verbose -d 'Log more to standard error; twice for still more'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand rel8" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand restore" -l field -d 'Only this field: keys joined by dots, `items[id="a"]` for a list\'s element, `^ib`, or `^rel8ns.NAME`' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand restore" -l home -d 'Keep all state in DIR; by default in the platform\'s data folder' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand restore" -l json -d 'Print one JSON object, on success and on failure'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand restore" -s q -l quiet -d 'Print results and errors only'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand restore" -s v -l verbose -d 'Log more to standard error; twice for still more'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand restore" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand get" -l home -d 'Keep all state in DIR; by default in the platform\'s data folder' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand get" -l json -d 'Print one JSON object, on success and on failure'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand get" -s q -l quiet -d 'Print results and errors only'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand get" -s v -l verbose -d 'Log more to standard error; twice for still more'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand get" -s h -l help -d 'Print help'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand put" -l home -d 'Keep all state in DIR; by default in the platform\'s data folder' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand put" -l json -d 'Print one JSON object, on success and on failure'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand put" -s q -l quiet -d 'Print results and errors only'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand put" -s v -l verbose -d 'Log more to standard error; twice for still more'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand put" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand log" -s n -l limit -d 'List at most N frames, timelines or sagas' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand log" -l home -d 'Keep all state in DIR; by default in the platform\'s data folder' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand log" -l merges -d 'List merges only'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand log" -l saga -d 'List past sagas, newest first, each with its frames'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand log" -l json -d 'Print one JSON object, on success and on failure'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand log" -s q -l quiet -d 'Print results and errors only'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand log" -s v -l verbose -d 'Log more to standard error; twice for still more'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand log" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand merge; and not __fish_seen_subcommand_from show" -l home -d 'Keep all state in DIR; by default in the platform\'s data folder' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand merge; and not __fish_seen_subcommand_from show" -l json -d 'Print one JSON object, on success and on failure'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand merge; and not __fish_seen_subcommand_from show" -s q -l quiet -d 'Print results and errors only'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand merge; and not __fish_seen_subcommand_from show" -s v -l verbose -d 'Log more to standard error; twice for still more'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand merge; and not __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand merge; and not __fish_seen_subcommand_from show" -f -a "show" -d 'Show what a merge did: each changed field in the common frame, on either side, and in the result'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand merge; and __fish_seen_subcommand_from show" -l home -d 'Keep all state in DIR; by default in the platform\'s data folder' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand merge; and __fish_seen_subcommand_from show" -l json -d 'Print one JSON object, on success and on failure'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand merge; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Print results and errors only'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand merge; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Log more to standard error; twice for still more'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand merge; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand conflicts" -l home -d 'Keep all state in DIR; by default in the platform\'s data folder' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand conflicts" -l json -d 'Print one JSON object, on success and on failure'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand conflicts" -s q -l quiet -d 'Print results and errors only'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand conflicts" -s v -l verbose -d 'Log more to standard error; twice for still more'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand conflicts" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand serve" -l listen -d 'The address and port to listen on; port 0 takes a free one' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand serve" -l space -d 'The server\'s space, made if it does not exist; by default server.db in the home folder' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand serve" -l registration -d 'Who may register an identity' -r -f -a "open\t'Anybody'
closed\t'Only those given by --allow and --allow-file'"
complete -c sync-gib -n "__fish_sync_gib_using_subcommand serve" -l allow -d 'An identity (its tjp address) that may register if registration is closed; repeatable' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand serve" -l allow-file -d 'More of them, one a line' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand serve" -l tls-cert -d 'The certificate chain (PEM), to speak https and wss' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand serve" -l tls-key -d 'The certificate\'s private key (PEM)' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand serve" -l allow-origin -d 'An origin whose web pages may use the server, such as `https://example.org`; repeatable' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand serve" -l allow-host -d 'A host name, besides loopback\'s own, that requests on loopback may use; repeatable' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand serve" -l trusted-proxy -d 'A proxy (an address or a network) whose X-Forwarded-For names the client; repeatable' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand serve" -l max-sockets -d 'Most authenticated sockets at a time' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand serve" -l max-turns -d 'Most turns in one session' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand serve" -l max-saga-bytes -d 'Most bytes that one sync may bring' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand serve" -l max-staged-bytes -d 'Most bytes that all syncs together may have staged at once' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand serve" -l quota -d 'Most bytes that one identity may hold; by default 10 GiB if registration is open, unlimited if it is closed' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand serve" -l max-file-bytes -d 'Most bytes that the whole file may take; unlimited by default' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand serve" -l max-new-identities -d 'Most new identities from one address in a day, if registration is open' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand serve" -l auth-timeout -d 'Seconds that a socket may stay unauthenticated' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand serve" -l idle-timeout -d 'Seconds that a socket may stay silent' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand serve" -l session-ttl -d 'Seconds that a session may wait for its socket' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand serve" -l token-ttl -d 'Seconds that a read token is valid' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand serve" -l keep-sessions -d 'How long records of syncs are kept: a number of days (d), hours (h), minutes (m) or seconds (s), or `forever`' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand serve" -l log-format -d 'The form of the log on standard error' -r -f -a "text\t'A line for people'
json\t'A JSON object'"
complete -c sync-gib -n "__fish_sync_gib_using_subcommand serve" -l home -d 'Keep all state in DIR; by default in the platform\'s data folder' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand serve" -l check -d 'Check the server\'s space for damage, and exit without serving'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand serve" -l json -d 'Print one JSON object, on success and on failure'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand serve" -s q -l quiet -d 'Print results and errors only'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand serve" -s v -l verbose -d 'Log more to standard error; twice for still more'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand verify" -l way -d 'Which way to run them' -r -f -a "a\t'In process: two spaces, no network'
b\t'Over a real WebSocket'
both\t'One after the other'"
complete -c sync-gib -n "__fish_sync_gib_using_subcommand verify" -l keep -d 'Leave the spaces behind in DIR, for `graph` and `check` to look at: a home for each device under DIR/PHASE-WAY, and the secret beside them' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand verify" -l seed -d 'The seed; the same one gives the same world to the byte' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand verify" -l seeds -d 'Run as many worlds, of the seeds from --seed on, until one of them fails' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand verify" -l home -d 'Keep all state in DIR; by default in the platform\'s data folder' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand verify" -l simulate -d 'Run a simulated world instead: devices, a server and links that fail, in one thread, from a seed; asserts the invariants after every step'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand verify" -l trace -d 'Print what happens in the world, line by line'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand verify" -l json -d 'Print one JSON object, on success and on failure'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand verify" -s q -l quiet -d 'Print results and errors only'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand verify" -s v -l verbose -d 'Log more to standard error; twice for still more'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand hash" -l home -d 'Keep all state in DIR; by default in the platform\'s data folder' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand hash" -l json -d 'Print one JSON object, on success and on failure'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand hash" -s q -l quiet -d 'Print results and errors only'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand hash" -s v -l verbose -d 'Log more to standard error; twice for still more'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand hash" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand transform" -l now-ms -d 'The moment of a timestamp, in milliseconds since 1970 (UTC); else the clock\'s' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand transform" -l home -d 'Keep all state in DIR; by default in the platform\'s data folder' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand transform" -l json -d 'Print one JSON object, on success and on failure'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand transform" -s q -l quiet -d 'Print results and errors only'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand transform" -s v -l verbose -d 'Log more to standard error; twice for still more'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand transform" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and not __fish_seen_subcommand_from verify rotate recover revoke" -l home -d 'Keep all state in DIR; by default in the platform\'s data folder' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and not __fish_seen_subcommand_from verify rotate recover revoke" -l json -d 'Print one JSON object, on success and on failure'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and not __fish_seen_subcommand_from verify rotate recover revoke" -s q -l quiet -d 'Print results and errors only'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and not __fish_seen_subcommand_from verify rotate recover revoke" -s v -l verbose -d 'Log more to standard error; twice for still more'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and not __fish_seen_subcommand_from verify rotate recover revoke" -s h -l help -d 'Print help'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and not __fish_seen_subcommand_from verify rotate recover revoke" -f -a "verify" -d 'Check a keystone\'s frames, read as NDJSON, by every rule'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and not __fish_seen_subcommand_from verify rotate recover revoke" -f -a "rotate" -d 'Change the secret of this space\'s identity, on the server and here'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and not __fish_seen_subcommand_from verify rotate recover revoke" -f -a "recover" -d 'Take this space\'s identity back with its recovery code: a new secret and a new code'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and not __fish_seen_subcommand_from verify rotate recover revoke" -f -a "revoke" -d 'Revoke this space\'s identity, on the server and here, for good'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and __fish_seen_subcommand_from verify" -l home -d 'Keep all state in DIR; by default in the platform\'s data folder' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and __fish_seen_subcommand_from verify" -l json -d 'Print one JSON object, on success and on failure'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and __fish_seen_subcommand_from verify" -s q -l quiet -d 'Print results and errors only'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and __fish_seen_subcommand_from verify" -s v -l verbose -d 'Log more to standard error; twice for still more'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and __fish_seen_subcommand_from rotate" -l secret-file -d 'Read the secret from FILE, or from standard input with `-`; one newline at its end is dropped. Without this or --secret-fd, the program asks for it on the terminal' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and __fish_seen_subcommand_from rotate" -l secret-fd -d 'Read the secret from the open file descriptor N' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and __fish_seen_subcommand_from rotate" -l new-secret-file -d 'Read the new secret from FILE, or from standard input with `-`. Without this or --new-secret-fd, the program asks for it on the terminal, twice' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and __fish_seen_subcommand_from rotate" -l new-secret-fd -d 'Read the new secret from the open file descriptor N' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and __fish_seen_subcommand_from rotate" -l home -d 'Keep all state in DIR; by default in the platform\'s data folder' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and __fish_seen_subcommand_from rotate" -l allow-weak-secret -d 'Accept a new secret that takes fewer than 2^40 guesses; whoever knows I\'s address can guess'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and __fish_seen_subcommand_from rotate" -l json -d 'Print one JSON object, on success and on failure'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and __fish_seen_subcommand_from rotate" -s q -l quiet -d 'Print results and errors only'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and __fish_seen_subcommand_from rotate" -s v -l verbose -d 'Log more to standard error; twice for still more'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and __fish_seen_subcommand_from rotate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and __fish_seen_subcommand_from recover" -l code-file -d 'Read the recovery code from FILE, or from standard input with `-`; else the program asks for it' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and __fish_seen_subcommand_from recover" -l identity -d 'The identity, in a home that `setup --join` could not finish without the secret' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and __fish_seen_subcommand_from recover" -l new-secret-file -d 'Read the new secret from FILE, or from standard input with `-`. Without this or --new-secret-fd, the program asks for it on the terminal, twice' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and __fish_seen_subcommand_from recover" -l new-secret-fd -d 'Read the new secret from the open file descriptor N' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and __fish_seen_subcommand_from recover" -l recovery-file -d 'Write the recovery code to FILE, which must not be there yet, and do not show it' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and __fish_seen_subcommand_from recover" -l home -d 'Keep all state in DIR; by default in the platform\'s data folder' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and __fish_seen_subcommand_from recover" -l allow-weak-secret -d 'Accept a new secret that takes fewer than 2^40 guesses; whoever knows I\'s address can guess'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and __fish_seen_subcommand_from recover" -l json -d 'Print one JSON object, on success and on failure'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and __fish_seen_subcommand_from recover" -s q -l quiet -d 'Print results and errors only'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and __fish_seen_subcommand_from recover" -s v -l verbose -d 'Log more to standard error; twice for still more'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and __fish_seen_subcommand_from recover" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and __fish_seen_subcommand_from revoke" -l reason -d 'Why; everybody who reads the identity can read it' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and __fish_seen_subcommand_from revoke" -l secret-file -d 'Read the secret from FILE, or from standard input with `-`; one newline at its end is dropped. Without this or --secret-fd, the program asks for it on the terminal' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and __fish_seen_subcommand_from revoke" -l secret-fd -d 'Read the secret from the open file descriptor N' -r
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and __fish_seen_subcommand_from revoke" -l home -d 'Keep all state in DIR; by default in the platform\'s data folder' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and __fish_seen_subcommand_from revoke" -l yes -d 'Confirm: a revocation cannot be undone'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and __fish_seen_subcommand_from revoke" -l json -d 'Print one JSON object, on success and on failure'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and __fish_seen_subcommand_from revoke" -s q -l quiet -d 'Print results and errors only'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and __fish_seen_subcommand_from revoke" -s v -l verbose -d 'Log more to standard error; twice for still more'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand keystone; and __fish_seen_subcommand_from revoke" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand generate" -l home -d 'Keep all state in DIR; by default in the platform\'s data folder' -r -F
complete -c sync-gib -n "__fish_sync_gib_using_subcommand generate" -l json -d 'Print one JSON object, on success and on failure'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand generate" -s q -l quiet -d 'Print results and errors only'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand generate" -s v -l verbose -d 'Log more to standard error; twice for still more'
complete -c sync-gib -n "__fish_sync_gib_using_subcommand generate" -s h -l help -d 'Print help (see more with \'--help\')'
