%% Erlang/OTP's side of the kernel suite: the same casts, calls and spawns as kernel.ts.
%% One process for the whole suite: reads "CASE COUNT CALLERS" a line, answers with the nanoseconds it took.
-module(kernel_bench).
-behaviour(gen_server).
-export([main/0, init/1, handle_call/3, handle_cast/2]).

main() ->
    io:format("~s ~s~n", [erlang:system_info(otp_release), erlang:system_info(emu_flavor)]),
    loop().

loop() ->
    case io:get_line("") of
        eof -> halt(0);
        {error, _} -> halt(1);
        Line ->
            [Case, Count, Callers] = string:lexemes(string:trim(Line), " "),
            N = list_to_integer(Count),
            io:format("~b~n", [in_own_process(Case, N, list_to_integer(Callers))]),
            loop()
    end.

%% A fresh heap a run, as a caller has one; a crash is not an answer.
in_own_process(Case, N, Callers) ->
    {_, Ref} = spawn_monitor(fun() -> exit({took, run(Case, N, Callers)}) end),
    receive
        {'DOWN', Ref, process, _, {took, Ns}} -> Ns
    end.

%% A burst: all casts, then one call, which is answered after the last of them.
run("cast", N, _) ->
    {ok, Pid} = gen_server:start(?MODULE, 0, []),
    T0 = now_ns(),
    casts(Pid, N),
    N = gen_server:call(Pid, get, infinity),
    T1 = now_ns(),
    gen_server:stop(Pid),
    T1 - T0;
run("call", N, Callers) ->
    {ok, Pid} = gen_server:start(?MODULE, 0, []),
    T0 = now_ns(),
    spread(Pid, N, Callers),
    T1 = now_ns(),
    N = gen_server:call(Pid, get, infinity),
    gen_server:stop(Pid),
    T1 - T0;
%% Start and monitor one, tell it to stop, wait for its exit notice; then the next.
run("spawn", N, _) ->
    T0 = now_ns(),
    spawns(N),
    now_ns() - T0;
%% So many that live at once.
run("crowd_start", N, _) ->
    T0 = now_ns(),
    Pids = crowd(N),
    T1 = now_ns(),
    ended(Pids),
    T1 - T0;
%% Answers bytes, not nanoseconds.
run("crowd_memory", N, _) ->
    M0 = erlang:memory(processes),
    Pids = crowd(N),
    M1 = erlang:memory(processes),
    ended(Pids),
    M1 - M0;
%% The same after its first message, and a collection.
run("crowd_memory_told", N, _) ->
    M0 = erlang:memory(processes),
    Pids = crowd(N),
    tell(Pids),
    [garbage_collect(Pid) || Pid <- Pids],
    M1 = erlang:memory(processes),
    ended(Pids),
    M1 - M0;
%% A cast to each, which tells us.
run("crowd_tell", N, _) ->
    Pids = crowd(N),
    T0 = now_ns(),
    tell(Pids),
    T1 = now_ns(),
    ended(Pids),
    T1 - T0;
%% A supervised child crashes N times; each life says that it is there. Reports of crashes are not written.
run("restart", N, _) ->
    ok = logger:set_primary_config(level, none),
    T0 = now_ns(),
    {ok, Sup} = supervisor:start_link(?MODULE, {supervisor, 2 * N, self()}),
    lives(N),
    T1 = now_ns(),
    unlink(Sup),
    Ref = monitor(process, Sup),
    exit(Sup, shutdown),
    receive {'DOWN', Ref, process, Sup, _} -> ok end,
    T1 - T0.

crowd(N) -> [begin {ok, Pid} = gen_server:start(?MODULE, 0, []), Pid end || _ <- lists:seq(1, N)].

tell(Pids) ->
    [gen_server:cast(Pid, {tell, self()}) || Pid <- Pids],
    [receive got -> ok end || _ <- Pids],
    ok.

ended(Pids) ->
    Refs = [monitor(process, Pid) || Pid <- Pids],
    [gen_server:cast(Pid, stop) || Pid <- Pids],
    [receive {'DOWN', Ref, process, _, normal} -> ok end || Ref <- Refs],
    ok.

lives(0) -> receive {up, _} -> ok end;
lives(N) ->
    receive {up, Pid} -> gen_server:cast(Pid, crash) end,
    lives(N - 1).

casts(_, 0) -> ok;
casts(Pid, N) ->
    gen_server:cast(Pid, {add, 1}),
    casts(Pid, N - 1).

spread(Pid, N, 1) -> calls(Pid, N);
spread(Pid, N, Callers) ->
    Each = N div Callers,
    Refs = [element(2, spawn_monitor(fun() -> calls(Pid, Each) end)) || _ <- lists:seq(1, Callers)],
    [receive {'DOWN', Ref, process, _, normal} -> ok end || Ref <- Refs],
    calls(Pid, N - Each * Callers).

calls(_, 0) -> ok;
calls(Pid, N) ->
    gen_server:call(Pid, {add, 1}, infinity),
    calls(Pid, N - 1).

spawns(0) -> ok;
spawns(N) ->
    {ok, {Pid, Ref}} = gen_server:start_monitor(?MODULE, 0, []),
    gen_server:cast(Pid, stop),
    receive
        {'DOWN', Ref, process, Pid, normal} -> spawns(N - 1)
    end.

now_ns() -> erlang:monotonic_time(nanosecond).

init({supervisor, Restarts, Watcher}) ->
    Child = #{id => mortal, start => {gen_server, start_link, [?MODULE, {life, Watcher}, []]}},
    {ok, {#{strategy => one_for_one, intensity => Restarts, period => 1}, [Child]}};
init({life, Watcher}) ->
    Watcher ! {up, self()},
    {ok, 0};
init(Sum) -> {ok, Sum}.

handle_call(get, _From, Sum) -> {reply, Sum, Sum};
handle_call({add, X}, _From, Sum) -> {reply, Sum + X, Sum + X}.

handle_cast(crash, _) -> error("told to crash");
handle_cast({tell, To}, Sum) ->
    To ! got,
    {noreply, Sum};
handle_cast({add, X}, Sum) -> {noreply, Sum + X};
handle_cast(stop, Sum) -> {stop, normal, Sum}.
