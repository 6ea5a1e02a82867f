from sweeper.main import main

main()
